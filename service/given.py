"""One setting at a time: its value, from the environment or else from `drainwatch.toml`, read and checked.

Hard about it: whoever reads the error has no other clue. So each names the setting as it was given, shows the value on one
line whatever it holds, and says what was expected; of a secret it shows nothing.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from service.errors import SettingError

DEFAULT_FILE = "drainwatch.toml"

# Settings that the file may hold too, in lower case and without their prefix. Secrets are none of them, nor is what tells
# where the file and the data are: a file is shared and kept in version control.
FILE_SETTINGS = (
    "PORT",
    "DRAINWATCH_ACK_LAPSE",
    "DRAINWATCH_ADMISSION",
    "DRAINWATCH_CORS_ORIGINS",
    "DRAINWATCH_HOST",
    "DRAINWATCH_LOG_LEVEL",
    "DRAINWATCH_MAX_BODY",
    "DRAINWATCH_PUBLIC_URL",
    "DRAINWATCH_RATE_LIMIT",
    "DRAINWATCH_REDACT",
    "DRAINWATCH_REDACT_QUERY",
    "DRAINWATCH_RETENTION_EVENTS",
    "DRAINWATCH_RETENTION_LINES",
    "DRAINWATCH_SPOOL_MAX",
)
ENVIRONMENT = (
    *FILE_SETTINGS,
    "DATABASE_URL",
    "DRAINWATCH_ADMIN_TOKEN",
    "DRAINWATCH_CONFIG",
    "DRAINWATCH_HEARTBEAT_URL",
    "DRAINWATCH_HOME",
    "DRAINWATCH_SPOOL",
    # What the terminal's commands read for themselves.
    "DRAINWATCH_DRAIN_SECRET",
    "DRAINWATCH_TOKEN",
    "DRAINWATCH_URL",
)
FILE_TABLES = ("apps", "events", "rules", "watched_paths")

T = TypeVar("T")
D = TypeVar("D")


class Wrong(ValueError):
    """A value cannot be read; `str()` is what was expected."""


class Given:
    """What was given: the environment, and what `file` says."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Reads the file that `environ` names. Raises SettingError for a name that nobody reads, and for a file that cannot
        be read."""
        for name in environ:
            if name.startswith("DRAINWATCH_") and name not in ENVIRONMENT:
                raise SettingError(f"{name} is no setting; {_nearest(name, ENVIRONMENT)}")
        self._environ = environ
        self.file, said = _read_file(environ.get("DRAINWATCH_CONFIG", "").strip())
        known = (*FILE_TABLES, *map(_in_file, FILE_SETTINGS))
        for name in said:
            if name not in known:
                raise SettingError(f"{self.file}: {_shown_key(name)}: {_unknown_in_file(name, known)}")
        self._said = said

    @property
    def on_heroku(self) -> bool:
        """Whether this is a dyno."""
        return "DYNO" in self._environ

    def tables(self) -> dict[str, Any]:
        """What the file says that is no single value: FILE_TABLES."""
        return {name: self._said[name] for name in FILE_TABLES if name in self._said}

    def read(self, name: str, parse: Callable[[str], T], default: D, *, secret: bool = False) -> T | D:
        """The setting `name`, by `parse`, which raises Wrong; `default` where it was not given, or given empty.

        Raises SettingError, without the value of a `secret`.
        """
        text = self._environ.get(name, "").strip()
        where, shown = f"{name} is", _shown(text)
        if not text:
            value = self._said.get(_in_file(name)) if name in FILE_SETTINGS else None
            if value is None:
                return default
            text, where, shown = _as_text(value), f"{self.file}: {_in_file(name)}:", _shown(value)
        try:
            return parse(text)
        except Wrong as error:
            said = f"{name} cannot be used" if secret else f"{where} {shown}"
            raise SettingError(f"{said}; expected {error}") from None


def _read_file(named: str) -> tuple[str, dict[str, Any]]:
    """The file's name and what it says: nothing, where none was named and there is none at the default place."""
    file = named or DEFAULT_FILE
    try:
        return file, tomllib.loads(Path(file).read_bytes().decode())
    except FileNotFoundError:
        if named:
            raise SettingError(f"DRAINWATCH_CONFIG is {_shown(named)}; expected a file, and there is none") from None
        return file, {}
    except OSError as error:
        raise SettingError(f"{file}: cannot be read ({error.strerror}); expected a file of settings") from None
    except UnicodeDecodeError as error:
        raise SettingError(f"{file}: byte {error.start} is not UTF-8; expected TOML, which is UTF-8") from None
    except tomllib.TOMLDecodeError as error:  # "Expected '=' after a key in a key/value pair (at line 1, column 5)"
        reason, _, place = str(error).removesuffix(")").rpartition(" (at ")
        raise SettingError(f"{file}: {place}: {_one_line(reason)}") from None


def _in_file(name: str) -> str:
    return name.removeprefix("DRAINWATCH_").lower()


def _as_text(value: object) -> str:
    """A value of the file as it would stand in the environment."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _unknown_in_file(name: str, known: Sequence[str]) -> str:
    of_environment = next((one for one in ENVIRONMENT if _in_file(one) == name.lower()), None)
    if of_environment is not None and name.lower() not in known:
        return f"not read from a file; set {of_environment} in the environment"
    return f"no such setting; {_nearest(name, known)}"


def _nearest(name: str, known: Sequence[str]) -> str:
    """The known name that is most like it, by what does not stand in all of them: DRAINWATCH_PORT is meant to be PORT."""
    by_short = {_in_file(one): one for one in known}
    near = get_close_matches(_in_file(name), by_short, n=1)
    return f"did you mean {by_short[near[0]]}?" if near else f"expected one of {', '.join(sorted(known))}"


def _shown(value: object) -> str:
    """A value on one line, whatever it holds; a long one cut."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _shown_key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_.-]{1,80}", name) else _shown(name)


def _one_line(text: str) -> str:
    return " ".join(text.split())


# -- text → value: what `read` is given ------------------------------------------------------------------------------

_UNITS = {"": 1, "B": 1, "kB": 1000, "KiB": 1 << 10, "MB": 10**6, "MiB": 1 << 20, "GB": 10**9, "GiB": 1 << 30}
_SIZE = re.compile("([1-9][0-9]{0,11}) ?([A-Za-z]*)")


def size(text: str) -> int:
    """`10 MiB` → bytes."""
    found = _SIZE.fullmatch(text)
    if found is None or found[2] not in _UNITS:
        raise Wrong('bytes or a unit, as in "10 MiB"')
    return int(found[1]) * _UNITS[found[2]]


def duration(text: str) -> timedelta:
    """`7d`, `36h`: days or hours."""
    found = re.fullmatch("([1-9][0-9]{0,3}) ?([dh])", text)
    if found is None:
        raise Wrong('days or hours, as in "7d" or "36h"')
    return timedelta(days=int(found[1])) if found[2] == "d" else timedelta(hours=int(found[1]))


def span(text: str) -> timedelta:
    """`4h`, `90m`, `30s`, `2d`: any time that is longer than none."""
    found = re.fullmatch("([1-9][0-9]{0,5}) ?([smhd])", text)
    if found is None:
        raise Wrong('a time, as in "4h", "90m" or "30s"')
    return timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])})


def port(text: str) -> int:
    """A TCP port to listen on."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise Wrong("a port from 1 to 65535")
    return int(text)


def host(text: str) -> str:
    """A name or an address to listen on."""
    if not re.fullmatch("[A-Za-z0-9.:_-]+", text):
        raise Wrong('an address to listen on, as in "127.0.0.1" or "::"')
    return text


def url(text: str) -> str:
    """An address that people open; without the slash at its end."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        valid = False
    if not valid or re.search(r"[\s?#]", text):
        raise Wrong('a URL without user and query, as in "https://logs.example.com"')
    return text.rstrip("/")


def hook(text: str) -> str:
    """An address to POST to, with whatever is behind its host."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        valid = False
    if not valid or not re.fullmatch("[!-~]{1,2048}", text):
        raise Wrong('an http or https URL to POST to, as in "https://alarm.example.com/ID"')
    return text


def origins(text: str) -> tuple[str, ...]:
    """`https://a.example.com, https://b.example.com` → the origins (RFC 6454 §7) of pages."""
    found = words(text)
    for one in found:
        if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", one):
            raise Wrong('origins of pages without a path, as in "https://status.example.com"')
    return found


def rate(text: str) -> int:
    """How often a minute."""
    if not re.fullmatch("[1-9][0-9]{0,6}", text):
        raise Wrong("how many requests a minute, as in 600")
    return int(text)


def token(text: str) -> str:
    """What a header can carry."""
    if not re.fullmatch("[!-~]+", text):
        raise Wrong("letters, digits and signs of ASCII without spaces")
    return text


def repository(text: str) -> str:
    """A repository on GitHub."""
    if not re.fullmatch("[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", text):
        raise Wrong('OWNER/NAME, as in "raxx-app/TradeMasterAPI"')
    return text


def config_var(text: str) -> str:
    """A config var's name, or the begin of one."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", text):
        raise Wrong('how a config var begins, as in "FLAG_"')
    return text


def words(text: str) -> tuple[str, ...]:
    """`a, b` → `("a", "b")`."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_of(*choices: str) -> Callable[[str], str]:
    """One of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise Wrong("one of " + ", ".join(choices))
        return text

    return read
