"""Folds over events: what is recognised, and nothing else. No I/O, no clock, no settings.

In reading order: `detector.py` the words; `threshold.py` (with `window.py`), `unfinished.py`, `absence.py`, `crash_loop.py`
the detectors; `history.py` the order of time; `hearing.py` and `gaps.py` what was not heard; `table.py`, `params.py`,
`rule.py`, `rule_book.py` the rules, read and checked; `rules.toml` the built-in ones; `minute_events.py` what a minute becomes;
`app_fold.py` one app's events through its rules, live and in `backtest.py`.
"""
