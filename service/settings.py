"""Settings: the environment and `drainwatch.toml` → frozen values, made once at the start.

What is wrong ends the start with one line: the setting (or file, table and field), the value and what was expected. A name
that nobody reads is wrong too, or a setting with a typing error would silently do nothing.

`DRAINWATCH_MAX_BODY` may stand in the file as `max_body`, and so may every name in `given.FILE_SETTINGS`; the environment
wins. An empty variable counts as unset. The URL of the database is read where it is opened (`store/database.py`).
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from parsers.event import Severity
from parsers.kinds.named import EventTable, Flag
from parsers.redact import QUERY_NAMES, Redaction
from service import given
from service.detect.table import RuleError, Table
from service.errors import SettingError
from service.given import Given, Wrong

BUILT_IN = "defaults.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")

# Kinds that the platform's own lines make, or drainwatch itself: an app that prints `Error R14` has printed text.
PLATFORM_KINDS = (
    "dyno_error",
    "dyno_state",
    "heartbeat",
    "logplex_error",
    "platform_status",
    "release",
    "router_error",
    "router_failure",
    "runtime_metrics",
    "traceback",
    "traffic",
)
_SEVERITIES = tuple(one.label for one in Severity)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the web process listens, and the URL under which people reach it, without a slash at its end."""

    host: str
    port: int
    public_url: str


@dataclass(frozen=True, slots=True)
class AskingSettings:
    """How often a token may ask in a minute (None: as often as it likes), and pages of which origins may (none: no page)."""

    rate_limit: int | None = None
    cors_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`url` is None for the embedded Postgres, which is kept under `home`."""

    url: str | None = field(repr=False)
    home: Path


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Bounds of the drain endpoint, in bytes: of one body, of all that is received and not yet committed, of what waits on
    the disk in `spool` while the database is away (None: nothing does); what is masked before the write; for how long a
    frame is held that cannot be kept."""

    max_body: int
    admission_bytes: int
    redaction: Redaction
    spool: Path | None = None
    # Packed, an hour of 6,000 lines a second in frames of a hundred, or of 800 that come alone.
    spool_bytes: int = 1 << 30
    hold_s: float = 4.0  # Logplex gives an answer 5 s


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long what was sent is kept (`lines`, and what could not be read of them), and how long what it means (`events`,
    traffic, and incidents from their end on, with all that was told of them)."""

    lines: timedelta
    events: timedelta


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """`heartbeat_url` is called each minute; None: nothing is. It is often a secret."""

    heartbeat_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What is known of an app beyond its logs; None where it was not said. `name` is as registered with `drain add`."""

    name: str
    heroku_app: str
    region: str | None
    health_url: str | None
    github_repo: str | None
    github_workflow: str | None
    github_environment: str | None
    flag_prefix: str
    watched_paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them. `events` in the order in which they are tried; each of `rules` with the file that it stands in."""

    server: ServerSettings
    database: DatabaseSettings
    ingest: IngestSettings
    retention: RetentionSettings
    notify: NotifySettings
    apps: tuple[AppSettings, ...]
    events: tuple[EventTable, ...]
    watched_paths: frozenset[str]
    telling_paths: tuple[str, ...]
    rules: tuple[tuple[Mapping[str, Any], str], ...]
    admin_token: str | None = field(repr=False)
    log_level: str
    ack_lapse: timedelta = timedelta(hours=4)  # an acknowledgement, and the incident is loud again
    asking: AskingSettings = AskingSettings()

    def flag_prefix(self, app: str) -> str:
        """What a flag's key becomes a config var's name with: `FLAG_` of `FLAG_NEW_CHECKOUT`."""
        return next((one.flag_prefix for one in self.apps if one.name == app), "FLAG_")

    def app_watched_paths(self) -> dict[str, frozenset[str]]:
        """The paths that are watched in one app only."""
        return {one.name: one.watched_paths for one in self.apps if one.watched_paths}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` and the file it names give. Raises SettingError for the first that is wrong."""
    said = Given(environ)
    try:
        return _settings(said)
    except RuleError as error:
        raise SettingError(" ".join(str(error).split())) from error


def _settings(said: Given) -> Settings:
    # A dyno is reached from outside, so there the loopback address would be of no use to anyone.
    host = said.read("DRAINWATCH_HOST", given.host, "0.0.0.0" if said.on_heroku else "127.0.0.1")  # noqa: S104
    port = said.read("PORT", given.port, 8000)
    return Settings(
        server=ServerSettings(host, port, said.read("DRAINWATCH_PUBLIC_URL", given.url, _own_url(host, port))),
        database=DatabaseSettings(
            url=said.read("DATABASE_URL", str, None, secret=True),
            home=said.read("DRAINWATCH_HOME", Path, Path(".drainwatch")),
        ),
        ingest=IngestSettings(
            max_body=said.read("DRAINWATCH_MAX_BODY", given.size, 10 << 20),
            # A body, its lines and its chunk: some three times this in memory at overload, of the 300 MiB there are.
            admission_bytes=said.read("DRAINWATCH_ADMISSION", given.size, 64 << 20),
            redaction=_redaction(said),
            spool=said.read("DRAINWATCH_SPOOL", Path, None),
            spool_bytes=said.read("DRAINWATCH_SPOOL_MAX", given.size, 1 << 30),
        ),
        retention=RetentionSettings(
            lines=said.read("DRAINWATCH_RETENTION_LINES", given.duration, timedelta(days=7)),
            events=said.read("DRAINWATCH_RETENTION_EVENTS", given.duration, timedelta(days=90)),
        ),
        notify=NotifySettings(said.read("DRAINWATCH_HEARTBEAT_URL", given.hook, None, secret=True)),
        apps=_apps(said),
        # The first that matches a line reads it: one's own come before the built-in.
        events=(*_events(said.tables(), said.file), *_events(_built_in(), BUILT_IN)),
        watched_paths=_paths(Table(said.tables(), where=said.file)),
        telling_paths=tuple(_built_in()["telling_paths"]),
        # As they stand: what is in them is read by service/detect/rule.py.
        rules=tuple((table, said.file) for table in _list(said.tables(), "rules", said.file)),
        admin_token=said.read("DRAINWATCH_ADMIN_TOKEN", given.token, None, secret=True),
        log_level=said.read("DRAINWATCH_LOG_LEVEL", given.one_of(*LOG_LEVELS), "info"),
        ack_lapse=said.read("DRAINWATCH_ACK_LAPSE", given.span, timedelta(hours=4)),
        asking=AskingSettings(
            rate_limit=said.read("DRAINWATCH_RATE_LIMIT", given.rate, None),
            cors_origins=said.read("DRAINWATCH_CORS_ORIGINS", given.origins, ()),
        ),
    )


def _own_url(host: str, port: int) -> str:
    """Where this machine reaches itself."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _redaction(said: Given) -> Redaction:
    masked = said.read("DRAINWATCH_REDACT", _masked, ("credentials",))
    named = said.read("DRAINWATCH_REDACT_QUERY", given.words, ())
    credentials = "credentials" in masked
    names = (*QUERY_NAMES, *named) if credentials else named
    return Redaction(credentials=credentials, query_names=tuple(dict.fromkeys(names)), fwd="fwd" in masked)


def _masked(text: str) -> Sequence[str]:
    if text in ("on", "off"):
        return ["credentials"] if text == "on" else []
    masked = given.words(text)
    if not masked or not {"credentials", "fwd"}.issuperset(masked):
        raise Wrong("on, off, credentials, fwd, or the last two with a comma between")
    return masked


# -- the tables of drainwatch.toml -----------------------------------------------------------------------------------


def _list(tables: Mapping[str, Any], name: str, file: str) -> Sequence[Mapping[str, Any]]:
    """The tables `[[name]]` of a file, none where it has none."""
    Table(tables, where=file).tables(name)
    found: Sequence[Mapping[str, Any]] = tables.get(name, ())
    return found


def _named(table: Mapping[str, Any], sort: str, file: str) -> Table:
    """The table with its name in its errors."""
    return Table(table, where=f"{file}: {sort} {table.get('name', '(without a name)')}")


def _built_in() -> Mapping[str, Any]:
    return tomllib.loads(files("service").joinpath(BUILT_IN).read_text(encoding="utf-8"))


def _apps(said: Given) -> tuple[AppSettings, ...]:
    apps: dict[str, AppSettings] = {}
    for one in _list(said.tables(), "apps", said.file):
        table = _named(one, "app", said.file)
        app = _app(table)
        if app.name in apps:
            raise table.wrong("name", app.name, "one table for each app")
        apps[app.name] = app
    return tuple(apps.values())


def _app(table: Table) -> AppSettings:
    name = table.text("name")
    app = AppSettings(
        name=name,
        heroku_app=table.optional_text("heroku_app") or name,
        region=table.optional_text("region"),
        health_url=_checked(table, "health_url", given.url),
        github_repo=_checked(table, "github_repo", given.repository),
        github_workflow=table.optional_text("github_workflow"),
        github_environment=table.optional_text("github_environment"),
        flag_prefix=_checked(table, "flag_prefix", given.config_var) or "FLAG_",
        watched_paths=_paths(table),
    )
    table.no_more()
    return app


def _events(tables: Mapping[str, Any], file: str) -> tuple[EventTable, ...]:
    return tuple(_event(one, _named(one, "event", file)) for one in _list(tables, "events", file))


def _event(said: Mapping[str, Any], table: Table) -> EventTable:
    flags = table.tables("flags")
    event = EventTable(
        name=table.text("name"),
        kind=_kind(table),
        fields=table.texts("fields"),
        severity=_severity(table),
        flags=tuple(_flag(one, flag) for one, flag in zip(said.get("flags", ()), flags, strict=True)),
    )
    table.no_more()
    return event


def _kind(table: Table) -> str:
    kind = table.text("kind")
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", kind):
        raise table.wrong("kind", kind, 'a word of small letters, digits and "_"')
    if kind in PLATFORM_KINDS:
        raise table.wrong("kind", kind, "a kind of one's own: this one is read from the platform's lines alone")
    return kind


def _severity(table: Table) -> Severity | None:
    return None if table.optional_text("severity") is None else Severity.of(table.one_of("severity", _SEVERITIES))


def _flag(said: Mapping[str, Any], table: Table) -> Flag:
    table.table("where")
    where = said.get("where", {})
    if not where or not all(isinstance(value, str | int | float) for value in where.values()):
        raise table.wrong("where", where or None, 'fields and their values, as in { store = "memory" }')
    flag = Flag(
        where=where,
        name=table.optional_text("name"),
        environment=table.optional_text("environment"),
        severity=_severity(table),
    )
    if flag.name is None and flag.severity is None:
        raise table.wrong("name", None, "a name, a severity, or both: else the flag marks nothing")
    table.no_more()
    return flag


def _paths(table: Table) -> frozenset[str]:
    paths = table.texts("watched_paths") or ()
    for path in paths:
        if not re.fullmatch(r"/[^\s?#]*", path):
            raise table.wrong("watched_paths", path, 'a path without query, as in "/api/system/status"')
    return frozenset(paths)


def _checked(table: Table, name: str, parse: Callable[[str], str]) -> str | None:
    text = table.optional_text(name)
    try:
        return None if text is None else parse(text)
    except Wrong as error:
        raise table.wrong(name, text, str(error)) from None
