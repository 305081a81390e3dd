"""What was changed about an app (`app[api]`): deploys, config vars, scaling, builds, add-ons (Heroku: Logging).

A release makes two lines with one timestamp in either order, what was done and `Release v3 created`: two events.
"""

import re
from collections.abc import Callable

from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line

_Found = re.Match[str]
_Fields = dict[str, FieldValue]

# `by user user@example.com`, in the old form `by user@example.com`; a line of a command may end in `sort by name`.
_ACTOR = re.compile(r" by (?:user (\S+)|(\S+@\S+))$")
# The last line of a command of several lines (each is a message of its own): part of the first one (`beside.py`).
_END_OF_COMMAND = "`"
_COMMAND = "Starting process with command"
_QUANTITY = re.compile(r"(?<!\S)([^\s@]+)@(\d{1,6})(?![^\s:])", re.ASCII)


def read(line: Line) -> Meaning | None:
    """What was done, as `action`, by whom, as `actor`, with the fields of that action.

    What someone did in words that are not known is the action `other`. `error` for a build that failed.
    """
    found = _ACTOR.search(line.text)
    actor: _Fields = {"actor": found[1] or found[2]} if found else {}
    text = line.text[: found.start()] if found else line.text
    for pattern, action, fields_of in _ACTIONS:
        if said := pattern.fullmatch(text):
            severity = Severity.ERROR if action == "build_failed" else Severity.INFO
            return Meaning("release", severity, fields={"action": action, **fields_of(said), **actor})
    if actor and not text.endswith(_END_OF_COMMAND):
        return Meaning("release", Severity.INFO, fields={"action": "other", "text": text, **actor})
    return None


def is_begun(text: str) -> bool:
    """Whether it is the first of the several lines of a command."""
    return text.startswith(_COMMAND) and _ACTOR.search(text) is None


def end_of_command(text: str) -> tuple[str, str | None]:
    """A further line of a command, and who started it, which stands at the end of the last one."""
    found = _ACTOR.search(text)
    if found is None or not text[: found.start()].endswith(_END_OF_COMMAND):
        return text, None
    return text[: found.start()].removesuffix(_END_OF_COMMAND), found[1] or found[2]


def _named(found: _Found) -> _Fields:
    """The pattern's groups by their names; numbers of releases as numbers."""
    return {
        name: int(value) if name in ("version", "rollback_to") else value
        for name, value in found.groupdict().items()
        if value is not None
    }


def _config_keys(found: _Found) -> _Fields:
    return {"config_keys": [name for name in re.split(r"[,\s]+", found[1]) if name]}


def _formation(found: _Found) -> _Fields:
    """`web@1:Standard-1X worker@0:Basic` → `web=1:standard-1x worker=0:basic`, how many dynos that are (the line names every
    process type), and how many of them are web dynos, where it names those."""
    quantities = {name: int(quantity) for name, quantity in _QUANTITY.findall(found[1])}
    fields: _Fields = {"formation": " ".join(size.replace("@", "=", 1).lower() for size in found[1].split())}
    if quantities:
        fields["dynos"] = sum(quantities.values())
    if "web" in quantities:
        fields["web_dynos"] = quantities["web"]
    return fields


_VERSION = r"v(?P<version>\d{1,9})"
_ACTIONS: tuple[tuple[re.Pattern[str], str, Callable[[_Found], _Fields]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), action, fields_of)
    for pattern, action, fields_of in (
        (r"Initial release", "initial", _named),
        (rf"Release {_VERSION} created", "release", _named),
        (r"Deploy (?P<commit>[0-9a-fA-F]{6,40})", "deploy", _named),
        (r"Deployed (?P<image>.+)", "deploy", _named),
        (rf"Running release {_VERSION} commands?", "release_command", _named),
        (r"Rollback to v(?P<rollback_to>\d{1,9})", "rollback", _named),
        (r"Set (.+) config vars?", "config_set", _config_keys),
        (r"Remove (.+) config vars?", "config_removed", _config_keys),
        (r"Scaled? to (\S+@.*)", "scaled", _formation),
        (r"(?:Build started|Slug compilation started)", "build_started", _named),
        (r"(?:Build succeeded|Slug compilation finished)", "build_succeeded", _named),
        (r"(?:Build|Slug compilation) failed(?: -- .*?(?P<url>https://\S+))?.*", "build_failed", _named),
        (r"Attach (?P<attachment>\S+)(?: \(@ref:(?P<addon>[^)]+)\))?", "addon_attached", _named),
        (r"Detach (?P<attachment>\S+)(?: \(@ref:(?P<addon>[^)]+)\))?", "addon_detached", _named),
        (r"Update (?P<attachment>[A-Z][A-Z0-9_]*)(?: \(@ref:(?P<addon>[^)]+)\))?", "addon_updated", _named),
        (r"@ref:(?P<addon>\S+) completed provisioning.*", "addon_provisioned", _named),
        (r"Stack changed from (?P<from_stack>\S+) to (?P<stack>\S+)", "stack_changed", _named),
        (r"Upgrade stack to (?P<stack>\S+)", "stack_changed", _named),
        (r"Enable Logplex", "logplex_enabled", _named),
        (r"Starting process with command:? `(?P<command>.*?)`?", "command", _named),
        # Not seen word for word; whatever the order of the words, the mode is named and so is its end.
        (r"(?i:(?=.*\bmaintenance mode\b).*\b(?:off|disabled?|end(?:ed)?)\b.*)", "maintenance_off", _named),
        (r"(?i:(?=.*\bmaintenance mode\b).*\b(?:on|enabled?|began|started)\b.*)", "maintenance_on", _named),
    )
)
