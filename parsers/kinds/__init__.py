"""Kinds of lines. READERS says which module reads the lines of which source and process, at a glance.

A reader is a function of a Line that gives its Meaning, or None where the line means nothing to it. The platform's kinds
come from the platform's lines alone: an app that prints `Error R14` has printed text. Kinds that are given as data
(`named`) are read from the lines of the app's own dynos.
"""

from collections.abc import Callable

from parsers.kinds import dyno_error, dyno_state, logplex_error, release, router
from parsers.kinds.meaning import Meaning
from parsers.line import Line

Reader = Callable[[Line], Meaning | None]

# A PROCID that is not named here is a dyno's (`web.1`, `run.1234`, `web-abc-123`).
READERS: dict[tuple[str, str], tuple[Reader, ...]] = {
    ("heroku", "router"): (router.read,),
    ("heroku", "dyno"): (dyno_error.read, dyno_state.read),
    ("heroku", "logplex"): (logplex_error.read,),
    ("heroku", "log-shuttle"): (logplex_error.read,),
    ("app", "log-shuttle"): (logplex_error.read,),
    ("heroku", "api"): (release.read,),  # until about 2016
    ("app", "api"): (release.read,),
    ("app", "heroku-postgres"): (release.read,),  # `Update DATABASE by user …`; its samples mean nothing to it
    ("heroku", "slug-compiler"): (release.read,),
}
_FAMILIES = frozenset(family for _, family in READERS)


def readers_of(source: str, process: str) -> tuple[Reader, ...]:
    """The readers of a platform's line, in the order they are asked; none for a line of the app's own."""
    family = process if process in _FAMILIES else "dyno"
    # In Private Spaces log-shuttle writes the source's token, `t.<uuid>`, for which Logplex would put `app`.
    return READERS.get(("app" if source.startswith("t.") else source, family), ())
