"""What holds of every frame: splitting, concatenation, mutation, and time that grows with the length alone."""

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from costs import times_as_much
from parsers.event import Event
from parsers.frame import read_lines
from parsers.octet_counting import Message, are_whole, split_messages, whole_messages
from tests.parsers.readings import frame
from tests.vocabulary import (
    NOON,
    api,
    boot_timeout,
    counted,
    crash,
    dropped,
    exited,
    frame_of,
    message,
    router_line,
    up,
)

TYPICAL = [
    message("app", "web.1", "hello"),
    message("app", "web.1", "café\nand more"),
    message("app", "worker.1", "webauthn.challenge_stored store=memory user_id=7"),
    message("app", "web.1", '{"event": "console.flag.promotion.failed", "promotion_id": 1}'),
    message("app", "web.1", "password=hunter2"),
    router_line("11:59:59.123"),
    router_line("12:00", code="H12", path='/a b" c?token=x'),
    router_line("12:00", status=503),
    crash("web.1", "11:58"),
    up("web.2"),
    exited("run.1", 1),
    boot_timeout("web.1"),
    api("Set A_TOKEN, B config vars"),
    dropped(5, "11:00"),
    counted("<134>1 2026-05-11T12:00:00+00:00 host app heroku-redis - source=REDIS sample#active-connections=8"),
    counted("<190>1 2026-05-11T12:00:00+00:00 host app web.1 -"),
    counted("<190>1 never host app web.1 - x"),
    counted(b"<190>1 2026-05-11T12:00:00Z host app web.1 - \xff\x00\n"),
]
# As Heroku sends them: with a newline, but for Logplex and add-ons.
AS_SENT = [one for one in TYPICAL if one.endswith(b"\n") or b" logplex " in one or b" heroku-redis " in one]
MESSAGES = st.lists(st.sampled_from(TYPICAL), max_size=12)
ANY_TEXT = st.binary(max_size=40).map(
    lambda text: counted(b"<190>1 2026-05-11T12:00:00+00:00 host app web.1 - " + text)
)


def what(event: Event) -> tuple[object, ...]:
    """An event without its place, and without what it has from a neighbour."""
    fields = {name: value for name, value in event.fields.items() if not name.startswith("mem_")}
    return (
        event.kind,
        event.code,
        event.severity,
        event.ts,
        event.process,
        event.dyno,
        event.message,
        event.flags,
        str(fields),
    )


def counted_line(off: int, message: bytes) -> bytes:
    """The message behind an octet count that is `off` by so many."""
    return b"%d %s" % (max(len(message) + off, 0), message)


ANY_LINE = st.sampled_from(TYPICAL).map(lambda one: one.partition(b" ")[2]) | st.integers(0, 120).map(
    lambda size: b"<" + b"x" * size + b"\n"
)


@given(st.lists(st.sampled_from(TYPICAL) | ANY_TEXT, max_size=12))
def test_any_messages_one_behind_the_other_are_read_back(messages: list[bytes]) -> None:
    body = frame_of(*messages)
    assert [piece.counted for piece in split_messages(body) if isinstance(piece, Message)] == messages
    whole = whole_messages(body)
    assert whole is not None
    assert [counted(one) for one in whole[0]] == messages
    assert frame(body).messages == len(messages)
    assert frame(body).damage == ()


@given(st.lists(st.builds(counted_line, st.integers(-2, 2), ANY_LINE), max_size=6).map(b"".join))
def test_lines_are_whole_only_where_each_octet_count_leads_to_the_end_of_one(body: bytes) -> None:
    *lines, rest = body.split(b"\n")
    whole = whole_messages(body)
    if not rest and are_whole(lines, [line.partition(b" ")[0] for line in lines]):
        assert whole is not None
        assert [line.partition(b" ")[2] + b"\n" for line in lines] == whole[0]
    elif whole is not None:
        assert any(one.count(b"\n") != 1 or not one.startswith(b"<") or not one.endswith(b"\n") for one in whole[0])


@given(MESSAGES, st.data())
def test_any_split_into_frames_gives_the_same_lines_and_events(messages: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(messages)))
    whole = frame(frame_of(*messages))
    parts = [frame(frame_of(*messages[:cut])), frame(frame_of(*messages[cut:]))]
    assert b"".join(part.body for part in parts) == whole.body
    assert sum(part.messages for part in parts) == whole.messages
    assert frozenset().union(*(part.processes for part in parts)) == whole.processes
    assert [what(event) for part in parts for event in part.events] == [what(event) for event in whole.events]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A body with a few stretches replaced."""
    body = bytearray(frame_of(*draw(st.lists(st.sampled_from(TYPICAL), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        new = draw(st.binary(max_size=12) | st.sampled_from([b"9", b" ", b"<", b"99 <45>1 ", b"\n", b"0"]))
        body[at : at + draw(st.integers(0, 12))] = new
    return bytes(body)


@given(mutations() | st.binary(max_size=60) | st.text(alphabet="0123 <>145-\n", max_size=80).map(str.encode))
@settings(max_examples=300)
def test_every_byte_of_a_mutated_body_is_in_one_message_or_in_one_damage(body: bytes) -> None:
    pieces = split_messages(body)
    raw = [body[piece.at : piece.end] if isinstance(piece, Message) else piece.body for piece in pieces]
    assert b"".join(raw) == body
    assert all(raw)
    assert all(piece.counted.split(b" ", 1)[1] == piece.body for piece in pieces if isinstance(piece, Message))
    read = frame(body)
    assert read.messages + len(read.damage) <= len(pieces)
    # What is kept is whole: read again it is the same, with nothing to mend and nothing to mask.
    again = frame(read.body)
    assert again.body is read.body
    assert (again.messages, again.damage) == (read.messages, ())
    assert len(list(read_lines(read.body, NOON))) == read.messages


@given(
    st.lists(st.sampled_from(AS_SENT), max_size=4),
    st.sampled_from(TYPICAL),
    st.lists(st.sampled_from(TYPICAL), max_size=4),
    st.integers(0, 70),
    st.integers(0, 20),
    st.binary(min_size=1, max_size=12),
)
@settings(max_examples=300)
def test_good_messages_around_a_damaged_one_survive(
    before: list[bytes], victim: bytes, after: list[bytes], at: int, size: int, new: bytes
) -> None:
    damaged = victim[:at] + new + victim[at + size :]
    body, begin = frame_of(*before, damaged, *after), len(frame_of(*before))
    assume(not any(may_be_read_otherwise(body, place) for place in (begin, begin + len(damaged))))
    kept = [piece.counted for piece in split_messages(body) if isinstance(piece, Message)]
    assert kept[: len(before)] == before
    assert kept[len(kept) - len(after) :] == after


def may_be_read_otherwise(body: bytes, at: int) -> bool:
    """Whether digits on both sides of `at` are together a count that leads to a message or to the end: nobody can tell."""
    while at and body[at - 1 : at].isdigit():
        at -= 1
        if count := re.match(rb"(\d{1,10}) <", body[at:]):
            end = at + count.end(1) + 1 + int(count[1])
            if end == len(body) or re.match(rb"\d{1,10} <\d{1,3}>1 ", body[end:]):
                return True
    return False


def test_a_nought_before_a_count_is_one_of_its_digits_and_costs_no_message() -> None:
    body = frame_of(TYPICAL[0] + b"0", *TYPICAL[1:3])
    kept = [piece.body for piece in split_messages(body) if isinstance(piece, Message)]
    assert kept[-2:] == [one.split(b" ", 1)[1] for one in TYPICAL[1:3]]


# -- time ------------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[int], bytes]] = {
    "digits and spaces": lambda n: b"9 " * n,
    "one run of digits": lambda n: b"1" * n,
    "no digits": lambda n: b"a" * n,
    "counts of one": lambda n: b"1 <" * n,
    "counts of two": lambda n: b"2 <" * n,
    "headers without counts": lambda n: b" <45>1 " * n,
    "headers that lead astray": lambda n: b"7 <45>1 " * n,
    "headers with counts of the rest": lambda n: b"99999999 <45>1 " * n,
    "dated headers": lambda n: b"9 <45>1 2026-05-11T12:00:00+00:00 " * n,
    "proofs within proofs": lambda n: b"".join(b"%d <45>1 " % (n - at) for at in range(0, n, 8)),
    "short messages": lambda n: counted("<1>1 a b c d -") * n,
    "short messages after garbage": lambda n: b"x" + counted("<1>1 a b c d -") * n,
    "brackets": lambda n: counted(b"<190>1 - host app web.1 - " + b'[a b="' * n),
    "structured data": lambda n: counted(b"<190>1 - host app web.1 - " + b'[a b="c"]' * n),
    "passwords": lambda n: counted(b"<190>1 - host app web.1 - " + b'password="' * n),
    "passwords and backslashes": lambda n: counted(b"<190>1 - host app web.1 - " + b"password=\\" * n),
    "names without values": lambda n: counted(b"<190>1 - host app web.1 - " + b"password" * n),
    "spaces": lambda n: counted(b"<190>1 - host app web.1 - password" + b" " * n),
    "addresses": lambda n: counted(b"<190>1 - host app web.1 - " + b"://a:b" * n),
    "tokens": lambda n: counted(b"<190>1 - host app web.1 - " + b"eyJaaaaaaaa." * n),
    "tokens in one": lambda n: counted(b"<190>1 - host app web.1 - eyJ" + b"eyJ" * n),
    "keys": lambda n: counted(b"<190>1 - host app web.1 - " + b"-----BEGIN PRIVATE KEY-----" * n),
    "bearers": lambda n: counted(b"<190>1 - host app web.1 - " + b"bearer a" * n),
    "queries": lambda n: counted(b"<190>1 - host app web.1 - " + b"?key=" * n),
    "pairs": lambda n: counted(b"<190>1 - host app web.1 - webauthn.x " + b"a=" * n),
    "quotes": lambda n: counted(b"<190>1 - host app web.1 - webauthn.x " + b'a="\\' * n),
    "a long word": lambda n: counted(b"<190>1 - host app web.1 - webauthn.x" + b"a.b-" * n),
    "loggers": lambda n: counted(b"<190>1 - host app web.1 - " + b"webauthn.a:" * n),
    "spaces after a level": lambda n: counted(b"<190>1 - host app web.1 - INFO" + b" " * n + b"webauthn.x"),
    "objects": lambda n: counted(b"<190>1 - host app web.1 - " + b'{"webauthn.":' * n),
    "strings in objects": lambda n: counted(b'<190>1 - host app web.1 - {"webauthn.": "' + b"\\\\" * n + b'"}'),
    "a path": lambda n: counted(b'<190>1 - host heroku router - code=H1 path="' + b'" host=' * n),
    "old errors": lambda n: counted(b"<190>1 - host heroku router - " + b"Error H12 (" * n),
    "commands": lambda n: counted(b"<190>1 - host heroku web.1 - Starting process with command `" + b"` by user " * n),
    "actors": lambda n: counted(b"<190>1 - host app api - " + b" by user x" * n),
    "builds": lambda n: counted(b"<190>1 - host app api - Build failed -- " + b"https://" * n),
    "maintenance": lambda n: counted(b"<190>1 - host app api - " + b"maintenance mode " * n),
    "losses": lambda n: counted(b"<190>1 - host heroku logplex - Error L10: " + b"1 messages since " * n),
    "samples": lambda n: counted(b"<190>1 - host app heroku-redis - source=R " + b"sample#a=1.5 " * n),
    "a long sample": lambda n: counted(b"<190>1 - host app heroku-redis - source=R sample#a=" + b"9a" * n),
    "a database's words": lambda n: counted(b"<190>1 - host app postgres.1 - [D] [1-1] " + b"A: " * n),
    "errors": lambda n: counted(b"<190>1 - host app web.1 - " + b"Error" * n),
    "errors in names": lambda n: counted(b"<190>1 - host app web.1 - " + b"a.Error::" * n),
    "calls": lambda n: counted(b"<190>1 - host app web.1 - X::Y (    at " + b" (a" * n),
    "places": lambda n: counted(b"<190>1 - host app web.1 - \t" + b":1 at [" * n),
    "ruby's places": lambda n: counted(b"<190>1 - host app web.1 - " + b"a:1:in `" * n),
    "a name with dots": lambda n: frame_of(
        message("app", "web.1", "Traceback (most recent call last):"), message("app", "web.1", "a." * n + "!")
    ),
    "tracebacks": lambda n: message("app", "web.1", "Traceback (most recent call last):") * (n // 8),
    "lines in one message": lambda n: message("app", "web.1", "Error: x\n    at f (x:1:2)\n" * (n // 8)),
    "traces in objects": lambda n: counted(
        b"<190>1 - host app web.1 - " + b'{"Traceback (most recent call last)":' * n
    ),
    "before a line": lambda n: counted(b"<190>1 - host app web.1 -     at " + b"[a] " * n),
    "a goroutine's calls": lambda n: frame_of(
        message("app", "web.1", "panic: x"),
        message("app", "web.1", "goroutine 1 [running]:\tx"),
        message("app", "web.1", "f" + "(" * n),
    ),
    "an unended command": lambda n: frame_of(
        message("app", "api", "Starting process with command `a"), *[message("app", "api", "b")] * (n // 8)
    ),
    "running": lambda n: counted(b"<190>1 - host heroku web.1 - Process running mem=" + b"1(" * n),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_eight_times_the_body_takes_about_eight_times_as_long(make: Callable[[int], bytes]) -> None:
    small, large = make(2_000), make(16_000)

    # Quadratic would be 64 times.
    assert times_as_much(lambda: frame(large), lambda: frame(small)) < 28
