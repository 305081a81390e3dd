"""Folds over events: what is recognised, and nothing else. No I/O, no clock, no settings.

In reading order: `detector.py` the words; `threshold.py`, `unfinished.py`, `crash_loop.py` the detectors; `history.py` the
order of time; `table.py`, `rule.py`, `rule_book.py` the rules, read and checked; `rules.toml` the built-in ones.
"""
