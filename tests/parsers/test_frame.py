"""One frame: what it says of its lines, which events are in it, and that damage and secrets cost nothing else."""

from datetime import timedelta

import pytest

from parsers.frame import Reading, read_lines
from parsers.kinds.named import EventTable
from parsers.line import Line, Origin
from parsers.redact import Redaction
from tests.parsers.readings import PRODUCTION, READING, events, frame
from tests.vocabulary import (
    NOON,
    api,
    at,
    boot_timeout,
    counted,
    crash,
    dropped,
    frame_of,
    memory_quota,
    message,
    router_line,
    state,
    up,
)

HELLO = message("app", "web.1", "hello", "11:59:58")


def test_a_body_in_which_all_is_well_is_kept_as_the_object_it_is() -> None:
    body = frame_of(HELLO, router_line("11:59:59"), up("web.1"))
    read = frame(body)
    assert read.body is body
    assert (read.messages, read.head, read.damage) == (3, 0, ())
    assert read.processes == {"web.1", "router"}


def test_a_frame_spans_its_lines_own_times_and_counts_none_in_the_future() -> None:
    read = frame(frame_of(message("app", "web.1", "b", "12:01"), HELLO, message("app", "web.1", "a", "11:58")))
    assert (read.first_at, read.last_at, read.newest_at) == (at("11:58"), at("12:01"), NOON)
    assert frame(HELLO).newest_at == at("11:59:58")


def test_a_time_that_cannot_be_read_counts_at_the_receipt() -> None:
    read = frame(frame_of(HELLO, counted("<190>1 yesterday host app web.2 - x\n")))
    assert (read.messages, read.last_at, read.newest_at) == (2, NOON, NOON)


@pytest.mark.parametrize("body", [b"", b"garbage"])
def test_a_body_without_lines_is_a_frame_at_its_receipt(body: bytes) -> None:
    read = frame(body)
    assert (read.body, read.messages, read.processes, read.events) == (b"", 0, frozenset(), ())
    assert (read.first_at, read.last_at, read.newest_at) == (NOON, NOON, NOON)
    assert b"".join(damage.body for damage in read.damage) == body


def test_events_stand_in_the_order_of_their_lines_and_know_their_places() -> None:
    body = frame_of(
        HELLO,
        crash("web.1", "11:59:50"),
        router_line("11:59:51"),
        router_line("11:59:52", code="H10"),
        api("Deploy 193d1419"),
        message("app", "web.1", "webauthn.challenge_stored store=redis"),
        boot_timeout("web.2"),
    )
    found = events(body)
    assert [(event.place, event.kind) for event in found] == [
        (1, "dyno_state"),
        (3, "router_error"),
        (4, "release"),
        (5, "webauthn"),
        (6, "dyno_error"),
    ]


def test_an_event_says_where_it_came_from_and_what_it_is_about() -> None:
    (event,) = events(router_line("11:59:52.5", code="H12", dyno="web.3", service="30001ms"))
    assert (event.app, event.environment, event.source, event.process) == ("shop", "production", "heroku", "router")
    assert (event.ts, event.received_at) == (at("11:59:52.5"), NOON)
    assert (event.dyno, event.code, event.fields["service_ms"]) == ("web.3", "H12", 30001)
    assert event.message.startswith("at=error code=H12 ")
    assert event.id is None


def test_an_r14_has_the_memory_of_the_line_before_it() -> None:
    body = frame_of(memory_quota("worker.1"), memory_quota("worker.2", used="1194M(233.2%)", code="R15"))
    errors = [event for event in events(body) if event.kind == "dyno_error"]
    assert [(event.fields["mem_mb"], event.fields["mem_pct"]) for event in errors] == [(589, 115.1), (1194, 233.2)]


def test_an_r14_does_not_have_the_memory_of_another_dyno_or_of_an_earlier_error() -> None:
    running = message("heroku", "worker.2", "Process running mem=589M(115.1%)")
    alone = message("heroku", "worker.1", "Error R14 (Memory quota exceeded)")
    again = message("heroku", "worker.2", "Error R14 (Memory quota exceeded)")
    errors = [event for event in events(frame_of(running, alone, again, again)) if event.kind == "dyno_error"]
    assert ["mem_mb" in event.fields for event in errors] == [False, True, False]


def test_only_the_platform_says_what_the_platform_does() -> None:
    texts = (
        "Error R14 (Memory quota exceeded)",
        "State changed from up to crashed",
        "Release v3 created by user a@b.c",
    )
    body = frame_of(*(message("app", process, text) for text in texts for process in ("web.1", "run.1", "api.1")))
    assert events(body) == ()


def test_a_command_of_many_lines_is_one_event_with_all_of_them() -> None:
    body = frame_of(
        message("app", "api", "Running release v9 commands by user a@b.c"),
        message("app", "api", "Starting process with command `/bin/sh -c 'if true"),
        message("heroku", "web.1", "Something that no dyno says"),
        message("app", "api", "then sort by name"),
        message("app", "api", "fi'` by user a@b.c"),
        message("app", "api", "something else"),
        message("app", "api", "Release v9 created by user a@b.c"),
    )
    found = events(body)
    assert [(event.place, event.fields["action"]) for event in found] == [
        (0, "release_command"),
        (1, "command"),
        (6, "release"),
    ]
    assert (found[1].fields["command"], found[1].fields["actor"]) == (
        "/bin/sh -c 'if true\nthen sort by name\nfi'",
        "a@b.c",
    )


def test_a_command_whose_end_is_in_no_frame_keeps_what_came_with_it() -> None:
    begun = message("app", "api", "Starting process with command `/bin/sh -c 'if true")
    assert [event.fields for event in events(begun)] == [{"action": "command", "command": "/bin/sh -c 'if true"}]
    assert events(message("app", "api", "fi'` by user a@b.c")) == ()


def test_an_apps_own_watched_paths_are_watched_for_it_alone() -> None:
    reading = Reading(app_watched_paths={"shop": frozenset({"/up"})})
    body = router_line(path="/up")
    assert [event.kind for event in frame(body, reading=reading).events] == ["router_failure"]
    assert frame(body, Origin("other", "production"), reading).events == ()


def test_a_table_for_any_name_sees_every_line_of_the_app() -> None:
    reading = Reading(tables=(EventTable("*", "anything"),))
    body = frame_of(HELLO, router_line(), up("web.1"), message("app", "web.1", "bye"))
    assert [event.place for event in frame(body, reading=reading).events if event.kind == "anything"] == [0, 3]


# -- what Logplex put in front ---------------------------------------------------------------------------------------


def test_the_line_that_logplex_puts_first_is_the_head() -> None:
    notice = dropped(3, "11:58")
    read = frame(frame_of(notice, HELLO))
    assert read.head == len(notice)
    assert [(event.code, event.fields["count"]) for event in read.events] == [("L10", 3)]


def test_such_a_line_elsewhere_or_from_an_app_is_no_head() -> None:
    assert frame(frame_of(HELLO, dropped(3, "11:58"))).head == 0
    assert frame(message("app", "web.1", "Error L10 (output buffer overflow): 1 messages dropped")).head == 0
    assert frame(message("heroku", "logplex", "something else")).head == 0


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "fields"), [("host heroku", 4), ("host heroku web.1", 5)])
def test_a_message_whose_header_cannot_be_read_is_damage_and_the_rest_is_kept(header: str, fields: int) -> None:
    bad = counted(f"<45>1 2026-05-11T12:00:00+00:00 {header}\n")
    read = frame(frame_of(HELLO, bad, crash("web.1")))
    assert read.body == frame_of(HELLO, crash("web.1"))
    assert [event.place for event in read.events] == [1]
    assert [(damage.at, damage.body) for damage in read.damage] == [(len(HELLO), bad)]
    assert f"has {fields} of 6 fields" in read.damage[0].reason


def test_a_mended_message_has_the_right_count() -> None:
    text = crash("web.1").split(b" ", 1)[1]
    read = frame(b"999 " + text + HELLO)
    assert read.body == frame_of(crash("web.1"), HELLO)
    assert [event.fields["to"] for event in read.events] == ["crashed"]
    assert [damage.body for damage in read.damage] == [b"999 "]


def test_neighbouring_damage_is_one() -> None:
    bad = counted("<45>1 - host heroku\n") + counted("<4") + b"garbage"
    assert [damage.body for damage in frame(HELLO + bad + HELLO).damage] == [bad]


def test_damage_is_masked_too() -> None:
    (damage,) = frame(b"password=hunter2 " + HELLO).damage
    assert damage.body == b"password=[redacted] "
    assert "hunter2" not in damage.reason


def test_a_line_without_a_text_is_kept_as_it_came() -> None:
    body = counted("<190>1 2026-05-11T12:00:00+00:00 host app web.1 -") + HELLO
    assert frame(body).body is body
    assert [line.text for line in read_lines(body, NOON)] == ["", "hello"]


# -- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        message("app", "web.1", 'password="a long secret" and é'),
        message("heroku", "run.1", "Starting process with command `sh -c 'TOKEN=a-long-secret run'`"),
        router_line(path="/x?page=1&token=a-long-secret", code="H12"),
        router_line(path="/reset/ghp_alongsecretalongsecretalongsecret"),
        message("app", "web.1", '{"event": "webauthn.x", "token": "a long secret", "user_id": 7}'),
        counted("<190>1 2026-05-11T12:00:00+00:00 host app web.1 - TOKEN=a-long-secret"),
    ],
)
def test_a_secret_is_neither_in_the_body_nor_in_an_event_and_counts_hold(line: bytes) -> None:
    read = frame(frame_of(HELLO, line, HELLO))
    assert b"secret" not in read.body
    assert "secret" not in repr(read.events)
    assert (read.messages, read.damage) == (3, ())
    assert read.body.startswith(HELLO)
    assert read.body.endswith(HELLO)
    assert frame(read.body).body is read.body


def test_a_line_that_was_masked_means_what_it_meant() -> None:
    (event,) = events(message("app", "web.1", '{"event": "webauthn.x", "token": 123456, "user_id": 7}'))
    assert event.fields == {"action": "x", "user_id": 7}
    (event,) = events(router_line(path="/x?page=1&token=abc", code="H12", host="real.example.com"))
    assert (event.fields["path"], event.fields["host"]) == ("/x?page=1&token=[redacted]", "real.example.com")


def test_forwarded_addresses_are_masked_only_where_asked() -> None:
    body = router_line(fwd="203.0.113.9")
    assert frame(body).body is body
    masked = frame(body, reading=Reading(redaction=Redaction(fwd=True)))
    assert b"203.0.113.9" not in masked.body


# -- lines -----------------------------------------------------------------------------------------------------------


def test_lines_are_read_from_a_body_in_their_order() -> None:
    body = frame_of(state("web.1", "up", "down", "11:59"), message("app", "worker.1", "two\nlines"))
    assert list(read_lines(body, NOON)) == [
        Line(at("11:59"), "heroku", "web.1", "State changed from up to down"),
        Line(NOON, "app", "worker.1", "two\nlines"),
    ]


def test_a_lines_unreadable_time_is_that_of_the_receipt() -> None:
    (line,) = read_lines(counted("<190>1 - host app web.1 - x"), NOON + timedelta(seconds=1))
    assert line.ts == NOON + timedelta(seconds=1)


def test_lines_of_a_damaged_body_are_those_that_can_be_read() -> None:
    assert [line.text for line in read_lines(b"garbage" + HELLO + b"12 <", NOON)] == ["hello"]


def test_the_packaged_tables_know_both_kinds() -> None:
    assert {table.kind for table in READING.tables} == {"webauthn", "promotion"}
    assert PRODUCTION.environment == "production"
