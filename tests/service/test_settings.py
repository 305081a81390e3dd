"""Settings: what the environment and drainwatch.toml give, and the one line that each mistake is answered with."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from parsers.event import Severity
from parsers.kinds.named import EventTable, Flag
from parsers.redact import QUERY_NAMES
from service.errors import SettingError
from service.settings import AppSettings, RetentionSettings, Settings, read_settings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings_of(toml: str, **environ: str) -> Settings:
    Path("drainwatch.toml").write_text(toml)
    return read_settings(environ)


def error_of(environ: dict[str, str]) -> str:
    with pytest.raises(SettingError) as caught:
        read_settings(environ)
    return str(caught.value)


def test_without_any_settings_it_listens_on_this_machine_alone_and_brings_its_own_database() -> None:
    settings = read_settings({})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.server.public_url == "http://127.0.0.1:8000"
    assert (settings.database.url, settings.database.home) == (None, Path(".drainwatch"))
    assert (settings.ingest.max_body, settings.ingest.hold_s) == (10 * 1024 * 1024, 4.0)
    assert (settings.ingest.spool, settings.ingest.spool_bytes) == (None, 1 << 30)
    assert (settings.apps, settings.rules, settings.watched_paths) == ((), (), frozenset())
    assert (settings.admin_token, settings.log_level) == (None, "info")


def test_the_environment_says_it_all() -> None:
    settings = read_settings(
        {
            "DATABASE_URL": "postgres://user:secret@host/db",
            "PORT": "5000",
            "DRAINWATCH_HOST": "::1",
            "DRAINWATCH_HOME": "/var/lib/drainwatch",
            "DRAINWATCH_PUBLIC_URL": "https://logs.example.com/",
            "DRAINWATCH_MAX_BODY": "1MB",
            "DRAINWATCH_ADMISSION": "128 MiB",
            "DRAINWATCH_SPOOL": "/var/spool/drainwatch",
            "DRAINWATCH_SPOOL_MAX": "5 GB",
            "DRAINWATCH_RETENTION_LINES": "36h",
            "DRAINWATCH_RETENTION_EVENTS": "365d",
            "DRAINWATCH_ADMIN_TOKEN": "open-sesame",
            "DRAINWATCH_HEARTBEAT_URL": "https://alarm.example.com/id?x=1",
            "DRAINWATCH_ACK_LAPSE": "90m",
            "DRAINWATCH_LOG_LEVEL": "debug",
            "DRAINWATCH_URL": "https://elsewhere.example.com",
            "PATH": "/bin",
        }
    )
    assert settings.database.url == "postgres://user:secret@host/db"
    assert settings.database.home == Path("/var/lib/drainwatch")
    assert (settings.server.host, settings.server.port) == ("::1", 5000)
    assert settings.server.public_url == "https://logs.example.com"
    assert (settings.ingest.max_body, settings.ingest.admission_bytes) == (1_000_000, 128 * 1024 * 1024)
    assert (settings.ingest.spool, settings.ingest.spool_bytes) == (Path("/var/spool/drainwatch"), 5 * 10**9)
    assert settings.retention == RetentionSettings(lines=timedelta(hours=36), events=timedelta(days=365))
    assert settings.notify.heartbeat_url == "https://alarm.example.com/id?x=1"
    assert (settings.admin_token, settings.log_level) == ("open-sesame", "debug")
    assert settings.ack_lapse == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("environ", "host", "url"),
    [
        ({"PORT": "5000", "DYNO": "web.1"}, "0.0.0.0", "http://127.0.0.1:5000"),
        ({"DRAINWATCH_HOST": "127.0.0.1", "DYNO": "web.1"}, "127.0.0.1", "http://127.0.0.1:8000"),
        ({"DRAINWATCH_HOST": "::"}, "::", "http://[::1]:8000"),
        ({"DRAINWATCH_HOST": "logs.internal"}, "logs.internal", "http://logs.internal:8000"),
    ],
)
def test_a_dyno_listens_to_the_outside_and_links_lead_to_where_it_listens(
    environ: dict[str, str], host: str, url: str
) -> None:
    server = read_settings(environ).server
    assert (server.host, server.public_url) == (host, url)


def test_an_empty_variable_counts_as_unset() -> None:
    empty = {"DATABASE_URL": "", "PORT": " ", "DRAINWATCH_CONFIG": "", "DRAINWATCH_ADMIN_TOKEN": ""}
    assert read_settings(empty) == read_settings({})


def test_a_heartbeat_that_is_no_url_is_refused_without_repeating_it() -> None:
    for wrong in ("canary", "ftp://x/canary", "https://user:canary@example.com/", "https://x/canary x"):
        said = error_of({"DRAINWATCH_HEARTBEAT_URL": wrong})
        assert said.startswith("DRAINWATCH_HEARTBEAT_URL cannot be used; expected an http or https URL")
        assert "canary" not in said


def test_no_secret_is_in_what_settings_print() -> None:
    printed = repr(
        read_settings(
            {
                "DATABASE_URL": "postgres://user:canary@host/db",
                "DRAINWATCH_ADMIN_TOKEN": "canary",
                "DRAINWATCH_HEARTBEAT_URL": "https://x.example.com/canary",
            }
        )
    )
    assert "canary" not in printed


@pytest.mark.parametrize(
    ("environ", "credentials", "fwd", "names"),
    [
        ({}, True, False, QUERY_NAMES),
        ({"DRAINWATCH_REDACT": "on"}, True, False, QUERY_NAMES),
        ({"DRAINWATCH_REDACT": "credentials, fwd"}, True, True, QUERY_NAMES),
        ({"DRAINWATCH_REDACT": "fwd"}, False, True, ()),
        ({"DRAINWATCH_REDACT": "off"}, False, False, ()),
        ({"DRAINWATCH_REDACT_QUERY": "email, token"}, True, False, (*QUERY_NAMES, "email")),
        ({"DRAINWATCH_REDACT": "off", "DRAINWATCH_REDACT_QUERY": "email"}, False, False, ("email",)),
    ],
)
def test_what_is_masked_before_the_write(
    environ: dict[str, str], credentials: bool, fwd: bool, names: tuple[str, ...]
) -> None:
    redaction = read_settings(environ).ingest.redaction
    assert (redaction.credentials, redaction.fwd, redaction.query_names) == (credentials, fwd, names)


EXAMPLE = """
watched_paths = ["/api/system/status"]
max_body = "2 MiB"
retention_lines = "3d"
port = 9000
redact = ["credentials", "fwd"]

[[apps]]
name = "raxx-api-prod"
region = "us"
health_url = "https://raxx-api-prod-a60a19e5efbf.herokuapp.com/api/system/status"
github_repo = "raxx-app/TradeMasterAPI"
github_workflow = "deploy-heroku.yml"
github_environment = "production"
flag_prefix = "FEATURE_"
watched_paths = ["/healthz"]

[[apps]]
name = "raxx-api-staging"
heroku_app = "raxx-api-stg"

[[events]]
name = "shop.*"
kind = "shop"
fields = ["phase", "order_id", "amount"]
severity = "info"
flags = [{ name = "large", where = { amount = 1000 }, environment = "production", severity = "warning" }]

[[rules]]
name = "declined"
detector = "threshold"
"""


def test_the_file_says_what_is_known_of_apps() -> None:
    settings = settings_of(EXAMPLE)
    assert settings.apps == (
        AppSettings(
            name="raxx-api-prod",
            heroku_app="raxx-api-prod",
            region="us",
            health_url="https://raxx-api-prod-a60a19e5efbf.herokuapp.com/api/system/status",
            github_repo="raxx-app/TradeMasterAPI",
            github_workflow="deploy-heroku.yml",
            github_environment="production",
            flag_prefix="FEATURE_",
            watched_paths=frozenset({"/healthz"}),
        ),
        AppSettings("raxx-api-staging", "raxx-api-stg", None, None, None, None, None, "FLAG_", frozenset()),
    )
    assert [settings.flag_prefix(app) for app in ("raxx-api-prod", "raxx-api-staging", "other")] == [
        "FEATURE_",
        "FLAG_",
        "FLAG_",
    ]
    assert settings.watched_paths == {"/api/system/status"}
    assert settings.app_watched_paths() == {"raxx-api-prod": {"/healthz"}}


def test_kinds_of_ones_own_are_tried_before_the_built_in_ones() -> None:
    flag = Flag(where={"amount": 1000}, name="large", environment="production", severity=Severity.WARNING)
    own, *built_in = settings_of(EXAMPLE).events
    assert own == EventTable("shop.*", "shop", ("phase", "order_id", "amount"), Severity.INFO, (flag,))
    assert [table.kind for table in built_in] == ["webauthn", "promotion"]


def test_rules_are_handed_on_with_the_file_they_stand_in() -> None:
    assert settings_of(EXAMPLE).rules == (({"name": "declined", "detector": "threshold"}, "drainwatch.toml"),)


def test_the_environment_wins_over_the_file() -> None:
    assert settings_of(EXAMPLE).server.port == 9000
    assert settings_of(EXAMPLE).ingest.max_body == 2 << 20
    assert settings_of(EXAMPLE).retention == RetentionSettings(lines=timedelta(days=3), events=timedelta(days=90))
    assert settings_of(EXAMPLE).ingest.redaction.fwd
    assert settings_of(EXAMPLE, PORT="5000", DRAINWATCH_REDACT="off").server.port == 5000
    assert not settings_of(EXAMPLE, DRAINWATCH_REDACT="off").ingest.redaction.fwd


def test_the_file_may_stand_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text('[[rules]]\nname = "declined"')
    settings = read_settings({"DRAINWATCH_CONFIG": str(tmp_path / "elsewhere.toml")})
    assert settings.rules == (({"name": "declined"}, str(tmp_path / "elsewhere.toml")),)


KNOWN_VARIABLES = (
    "DATABASE_URL, DRAINWATCH_ACK_LAPSE, DRAINWATCH_ADMIN_TOKEN, DRAINWATCH_ADMISSION, DRAINWATCH_CONFIG, "
    "DRAINWATCH_CORS_ORIGINS, DRAINWATCH_DRAIN_SECRET, "
    "DRAINWATCH_HEARTBEAT_URL, DRAINWATCH_HOME, DRAINWATCH_HOST, DRAINWATCH_LOG_LEVEL, DRAINWATCH_MAX_BODY, "
    "DRAINWATCH_PUBLIC_URL, DRAINWATCH_RATE_LIMIT, DRAINWATCH_REDACT, DRAINWATCH_REDACT_QUERY, DRAINWATCH_RETENTION_EVENTS, "
    "DRAINWATCH_RETENTION_LINES, DRAINWATCH_SPOOL, DRAINWATCH_SPOOL_MAX, DRAINWATCH_TOKEN, DRAINWATCH_URL, PORT"
)
A_SIZE = 'bytes or a unit, as in "10 MiB"'
A_URL = 'a URL without user and query, as in "https://logs.example.com"'
A_DURATION = 'days or hours, as in "7d" or "36h"'
A_HOST = 'an address to listen on, as in "127.0.0.1" or "::"'
MASKED = "on, off, credentials, fwd, or the last two with a comma between"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DRAINWATCH_MAX_BODY", "10Mib", f'DRAINWATCH_MAX_BODY is "10Mib"; expected {A_SIZE}'),
        ("DRAINWATCH_MAX_BODY", "0", f'DRAINWATCH_MAX_BODY is "0"; expected {A_SIZE}'),
        ("DRAINWATCH_SPOOL_MAX", "much", f'DRAINWATCH_SPOOL_MAX is "much"; expected {A_SIZE}'),
        ("DRAINWATCH_ADMISSION", "-1", f'DRAINWATCH_ADMISSION is "-1"; expected {A_SIZE}'),
        ("DRAINWATCH_ACK_LAPSE", "0h", 'DRAINWATCH_ACK_LAPSE is "0h"; expected a time, as in "4h", "90m" or "30s"'),
        ("DRAINWATCH_RETENTION_LINES", "7", f'DRAINWATCH_RETENTION_LINES is "7"; expected {A_DURATION}'),
        ("DRAINWATCH_RETENTION_EVENTS", "0d", f'DRAINWATCH_RETENTION_EVENTS is "0d"; expected {A_DURATION}'),
        ("PORT", "http", 'PORT is "http"; expected a port from 1 to 65535'),
        ("PORT", "65536", 'PORT is "65536"; expected a port from 1 to 65535'),
        ("DRAINWATCH_HOST", "a b", f'DRAINWATCH_HOST is "a b"; expected {A_HOST}'),
        ("DRAINWATCH_PUBLIC_URL", "logs.example.com", f'DRAINWATCH_PUBLIC_URL is "logs.example.com"; expected {A_URL}'),
        ("DRAINWATCH_PUBLIC_URL", "http://[", f'DRAINWATCH_PUBLIC_URL is "http://["; expected {A_URL}'),
        ("DRAINWATCH_PUBLIC_URL", "http://a/?b", f'DRAINWATCH_PUBLIC_URL is "http://a/?b"; expected {A_URL}'),
        ("DRAINWATCH_PUBLIC_URL", "http://a:99999", f'DRAINWATCH_PUBLIC_URL is "http://a:99999"; expected {A_URL}'),
        ("DRAINWATCH_REDACT", "yes", f'DRAINWATCH_REDACT is "yes"; expected {MASKED}'),
        ("DRAINWATCH_REDACT", ",", f'DRAINWATCH_REDACT is ","; expected {MASKED}'),
        ("DRAINWATCH_LOG_LEVEL", "INFO", 'DRAINWATCH_LOG_LEVEL is "INFO"; expected one of debug, info, warning, error'),
        ("DRAINWATCH_LOG_LEVEL", "a\nb" * 40, f'DRAINWATCH_LOG_LEVEL is "{"a" + chr(92) + "nb"}'),
        (
            "DRAINWATCH_ADMIN_TOKEN",
            "can ary",
            "DRAINWATCH_ADMIN_TOKEN cannot be used; expected letters, digits and signs of ASCII without spaces",
        ),
        ("DRAINWATCH_MAXBODY", "1", "DRAINWATCH_MAXBODY is no setting; did you mean DRAINWATCH_MAX_BODY?"),
        ("DRAINWATCH_PORT", "1", "DRAINWATCH_PORT is no setting; did you mean PORT?"),
        ("DRAINWATCH_", "1", f"DRAINWATCH_ is no setting; expected one of {KNOWN_VARIABLES}"),
        ("DRAINWATCH_CONFIG", "no.toml", 'DRAINWATCH_CONFIG is "no.toml"; expected a file, and there is none'),
        ("DRAINWATCH_CONFIG", ".", ".: cannot be read (Is a directory); expected a file of settings"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(name: str, value: str, message: str) -> None:
    said = error_of({name: value})
    assert said.startswith(message) if len(value) > 80 else said == message
    assert "\n" not in said
    assert "canary" not in said


def app(line: str) -> str:
    return f'[[apps]]\nname = "shop"\n{line}'


def event(line: str, kind: str = 'kind = "shop"') -> str:
    return f'[[events]]\nname = "shop.*"\n{kind}\n{line}'


SEVERITIES = "one of debug, info, warning, error, critical"
IN_APP, IN_EVENT = "drainwatch.toml: app shop", "drainwatch.toml: event shop.*"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("port = 1\nhost 2", "drainwatch.toml: line 2, column 6: Expected '=' after a key"),
        ("port = 1 2", "drainwatch.toml: line 1, column 10: Expected newline or end of document"),
        ('[[apps]]\nname = "shop', "drainwatch.toml: end of document: "),
        ('port = "http"', 'drainwatch.toml: port: "http"; expected a port from 1 to 65535'),
        ("port = 70000", "drainwatch.toml: port: 70000; expected a port from 1 to 65535"),
        ("port = true", "drainwatch.toml: port: true; expected a port from 1 to 65535"),
        ('max_body = "10Mib"', f'drainwatch.toml: max_body: "10Mib"; expected {A_SIZE}'),
        ('redact = ["all"]', f'drainwatch.toml: redact: ["all"]; expected {MASKED}'),
        ("maxbody = 1", "drainwatch.toml: maxbody: no such setting; did you mean max_body?"),
        ("[[rule]]", "drainwatch.toml: rule: no such setting; did you mean rules?"),
        ('admin_token = "canary"', "drainwatch.toml: admin_token: not read from a file; set DRAINWATCH_ADMIN_TOKEN in"),
        ('spool = "/tmp"', "drainwatch.toml: spool: not read from a file; set DRAINWATCH_SPOOL in the environment"),
        ('home = "/tmp"', "drainwatch.toml: home: not read from a file; set DRAINWATCH_HOME in the environment"),
        ("PORT = 1", "drainwatch.toml: PORT: no such setting; did you mean port?"),
        ('"a\\nb" = 1', 'drainwatch.toml: "a\\nb": no such setting; expected one of'),
        ("apps = 1", "drainwatch.toml: apps: 1; expected a list of tables"),
        ("rules = [1]", "drainwatch.toml: rules: [1]; expected a list of tables"),
        ("[rules]", "drainwatch.toml: rules: {}; expected a list of tables"),
        ('watched_paths = "/a"', 'drainwatch.toml: watched_paths: "/a"; expected a list of texts'),
        (
            'watched_paths = ["/a?b"]',
            'drainwatch.toml: watched_paths: "/a?b"; expected a path without query, as in "/api/system/status"',
        ),
        ("[[apps]]", "drainwatch.toml: app (without a name): name: missing; expected text"),
        (app("region = 1"), f"{IN_APP}: region: 1; expected text"),
        (app("regoin = 1"), f"{IN_APP}: regoin: no such field; did you mean region?"),
        (app('health_url = "shop.example.com"'), f'{IN_APP}: health_url: "shop.example.com"; expected {A_URL}'),
        (
            app('github_repo = "shop"'),
            f'{IN_APP}: github_repo: "shop"; expected OWNER/NAME, as in "raxx-app/TradeMasterAPI"',
        ),
        (app('flag_prefix = "A-"'), f'{IN_APP}: flag_prefix: "A-"; expected how a config var begins, as in "FLAG_"'),
        (app('watched_paths = ["a"]'), f'{IN_APP}: watched_paths: "a"; expected a path without query, as in'),
        (app(app("")), f'{IN_APP}: name: "shop"; expected one table for each app'),
        (event("", kind=""), f"{IN_EVENT}: kind: missing; expected text"),
        (event("", kind='kind = "A"'), f'{IN_EVENT}: kind: "A"; expected a word of small letters, digits and "_"'),
        (
            event("", kind='kind = "dyno_error"'),
            f"{IN_EVENT}: kind: \"dyno_error\"; expected a kind of one's own: this one is read from the platform's",
        ),
        (event('fields = "a"'), f'{IN_EVENT}: fields: "a"; expected a list of texts'),
        (event('severity = "bad"'), f'{IN_EVENT}: severity: "bad"; expected {SEVERITIES}'),
        (event("colour = 1"), f"{IN_EVENT}: colour: no such field"),
        (event("flags = [{}]"), f"{IN_EVENT}: flags[0]: where: missing; expected fields and their values, as in"),
        (event("flags = [{ where = 1 }]"), f"{IN_EVENT}: flags[0]: where: 1; expected a table"),
        (
            event("flags = [{ where = { a = [] } }]"),
            f"{IN_EVENT}: flags[0]: where: {{'a': []}}; expected fields and their values, as in",
        ),
        (
            event("flags = [{ where = { a = 1 } }]"),
            f"{IN_EVENT}: flags[0]: name: missing; expected a name, a severity, or both",
        ),
        (
            event('flags = [{ where = { a = 1 }, severity = "bad" }]'),
            f'{IN_EVENT}: flags[0]: severity: "bad"; expected {SEVERITIES}',
        ),
        (
            event('flags = [{ where = { a = 1 }, name = "b", to = 1 }]'),
            f"{IN_EVENT}: flags[0]: to: no such field",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_named_in_one_line(toml: str, message: str) -> None:
    Path("drainwatch.toml").write_text(toml)
    said = error_of({})
    assert said.startswith(message)
    assert "\n" not in said
    assert "canary" not in said


def test_a_file_that_is_no_text_is_named() -> None:
    Path("drainwatch.toml").write_bytes(b"port = 1 # \xff")
    assert error_of({}) == "drainwatch.toml: byte 11 is not UTF-8; expected TOML, which is UTF-8"


def test_settings_depend_on_their_argument_and_not_on_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before: Any = read_settings({})
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("DRAINWATCH_HOST", "::")
    assert read_settings({}) == before


def test_who_may_ask_how_often_and_from_which_pages() -> None:
    assert (read_settings({}).asking.rate_limit, read_settings({}).asking.cors_origins) == (None, ())
    asking = settings_of(
        'cors_origins = "https://a.example.com, http://b.example.com:8080"', DRAINWATCH_RATE_LIMIT="600"
    ).asking
    assert asking.rate_limit == 600
    assert asking.cors_origins == ("https://a.example.com", "http://b.example.com:8080")
    for name, value in (
        ("RATE_LIMIT", "0"),
        ("RATE_LIMIT", "x"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a/b"),
    ):
        assert error_of({f"DRAINWATCH_{name}": value}).startswith(f"DRAINWATCH_{name} is ")
