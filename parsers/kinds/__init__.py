"""Kinds of lines. READERS says which module reads the lines of which source and process, at a glance.

A reader is a function of a Line that gives its Meaning, or None where the line means nothing to it. The platform's kinds
come from the platform's lines alone: an app that prints `Error R14` has printed text. Kinds that are given as data
(`named`) are read from the lines of the app's own dynos.
"""

from collections.abc import Callable

from parsers.kinds import dyno_error, dyno_state, logplex_error, postgres_log, release, router, runtime_metrics
from parsers.kinds.meaning import Meaning
from parsers.line import Line

Reader = Callable[[Line], Meaning | None]

# The family of a process is its PROCID, where that is named here; `add-on` is `heroku-postgres`, `heroku-redis` and the like,
# `postgres` is `postgres.1127530`, and any other a dyno (`web.1`, `run.1234`, `web-abc-123`).
READERS: dict[tuple[str, str], tuple[Reader, ...]] = {
    ("heroku", "router"): (router.read,),
    ("heroku", "dyno"): (dyno_error.read, dyno_state.read, runtime_metrics.read),
    ("heroku", "logplex"): (logplex_error.read,),
    ("heroku", "log-shuttle"): (logplex_error.read,),
    ("app", "log-shuttle"): (logplex_error.read,),
    ("heroku", "api"): (release.read,),  # until about 2016
    ("app", "api"): (release.read,),
    ("app", "add-on"): (runtime_metrics.read, release.read),  # `Update DATABASE by user …`
    ("app", "postgres"): (postgres_log.read,),
    ("heroku", "slug-compiler"): (release.read,),
}
_NAMED = frozenset(family for _, family in READERS) - {"dyno", "add-on", "postgres"}


def readers_of(source: str, process: str) -> tuple[Reader, ...]:
    """The readers of a platform's line, in the order they are asked; none for a line of the app's own."""
    # In Private Spaces log-shuttle writes the source's token, `t.<uuid>`, for which Logplex would put `app`.
    return READERS.get(("app" if source.startswith("t.") else source, _family(process)), ())


def _family(process: str) -> str:
    if process in _NAMED:
        return process
    if process.startswith("heroku-") and "." not in process:
        return "add-on"
    return "postgres" if process.startswith("postgres.") else "dyno"


def is_of_the_app(source: str, process: str) -> bool:
    """Whether it is an app's own dyno that speaks, and not the platform."""
    return source != "heroku" and not readers_of(source, process)
