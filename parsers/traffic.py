"""Traffic: router lines (Heroku: HTTP Routing) → per minute how many requests, how they went and how long they took.

Hard about it: half of all lines are router lines, and nearly all of them say nothing else. So reading a frame only finds in
each the four numbers that count (`requests.py`), and they are counted alike by alike once the frames of a commit are together
(`minutes_of`: 0.3 µs a router line). A line of any other form than the usual one is read alone, by key, so that what a client
may write (path, host, `fwd`) is not taken for the router's numbers.
"""

import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import compress
from typing import TypeVar

from parsers.columns import Columns, are_requests, speakers_of
from parsers.kinds import router
from parsers.quantities import milliseconds, number
from parsers.requests import CONNECT, UNCUT, Requests, read_requests
from parsers.syslog import TO_SECONDS, decode, read_time, read_times
from parsers.times import LONGEST_MS, Times, bucket_of, pack_times, unpack_times

MINUTE = timedelta(minutes=1)
NO_STATUS = "none"  # the class of a request that got no answer (H24)

# The four numbers of a request: connect and service in ms, status, bytes; None where the line has none. And its code.
Request = tuple[int | None, int | None, int | None, int, str | None]

K = TypeVar("K", str, int)

_LARGEST_BYTES = 10**12

_CODED = re.compile(rb'(?:sock=\w+ )?at=\w+ code=(H\d{1,3}) desc="[^"]*" (?:cause="[^"]*" )?method=[^ ]+ path="')
_CODE = re.compile(r"H\d{1,3}", re.ASCII)
_CODED_NUMBERS = re.compile(
    rb" connect=(\d{0,9})(?:ms)? service=(\d{0,9})(?:ms)? status=(\d{3}|) bytes=(\d{0,12})(?: |$)"
)


@dataclass(frozen=True, slots=True)
class Minute:
    """What an app sent in one minute: `lines` of any sort, and its requests.

    `errors` are those answered with 5xx; `by_status` counts by class (`2xx`, and `none` where there was no answer), `by_code`
    by H code; `bytes` is what was sent to clients. `service` and `connect` are the times of those that have one.
    """

    lines: int = 0
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_code: Mapping[str, int] = field(default_factory=dict)
    service: Times = field(default_factory=dict)
    connect: Times = field(default_factory=dict)

    def __add__(self, other: "Minute") -> "Minute":
        return total((self, other))


@dataclass(frozen=True, slots=True)
class Sifted:
    """A minute's share of one frame, found but not counted yet: the usual requests' numbers as they stand in their lines,
    and the other requests."""

    minute: datetime
    lines: int
    usual: Sequence[tuple[bytes, bytes]] = ()
    others: Sequence[Request] = ()


# -- finding the numbers ---------------------------------------------------------------------------------------------


def sift(
    columns: Columns, requests: Requests, span: tuple[datetime, datetime], received_at: datetime
) -> tuple[Sifted, ...]:
    """The traffic of a frame whose lines' times lie within `span`, by minute; `requests` are its router lines.

    A line counts at its own time, or at its receipt if that was earlier. Raises nothing.
    """
    if not columns.stamps:
        return ()
    first, last = span
    minute = floor(min(first, received_at))
    if min(last, received_at) < minute + MINUTE:
        return (_sifted(minute, len(columns.stamps), requests),)
    minutes = _minutes(columns.stamps, received_at)
    texts: dict[datetime, list[bytes]] = {minute: [] for minute in set(minutes)}
    is_request = are_requests(columns, speakers_of(columns))
    for minute, text in zip(compress(minutes, is_request), compress(columns.texts, is_request), strict=True):
        texts[minute].append(text)
    counts = Counter(minutes)
    return tuple(_sifted(minute, counts[minute], read_requests(some)) for minute, some in sorted(texts.items()))


def _minutes(stamps: Sequence[bytes], received_at: datetime) -> list[datetime]:
    """The minute in which each of some lines counts. 0.4 µs a line: those of one minute have the begin of it in common."""
    times = read_times(stamps)
    if times is None:
        return [floor(min(read_time(stamp) or received_at, received_at)) for stamp in stamps]
    begins = [stamp[:TO_SECONDS] for stamp in stamps]
    latest = floor(received_at)
    minutes = {begin: min(floor(time), latest) for begin, time in dict(zip(begins, times, strict=True)).items()}
    return [minutes[begin] for begin in begins]


def _sifted(minute: datetime, lines: int, requests: Requests) -> Sifted:
    others = (_request(requests.texts[place]) for place in requests.others)
    return Sifted(minute, lines, requests.numbers, [request for request in others if request])


def floor(at: datetime) -> datetime:
    """The begin of the minute that `at` is in."""
    return at.replace(second=0, microsecond=0)


def _request(text: bytes) -> Request | None:
    """The request that a router line tells of; None where it tells of none."""
    coded = _CODED.match(text)
    if coded and text.count(CONNECT) == 1 and len(text) < UNCUT and (found := _CODED_NUMBERS.search(text)):
        connect, service, status, size = (int(digits) if digits else None for digits in found.groups())
        return connect, service, status, size or 0, coded[1].decode()
    pairs = router.pairs_of(decode(text))
    code, answer, sent = pairs.get("code", ""), number(pairs.get("status", "")), number(pairs.get("bytes", ""))
    if not code and answer is None and "method" not in pairs:
        return None
    return (
        _ms(pairs.get("connect")),
        _ms(pairs.get("service")),
        None if answer is None else int(answer),
        min(max(int(sent or 0), 0), _LARGEST_BYTES),
        code if _CODE.fullmatch(code) else None,
    )


def _ms(text: str | None) -> int | None:
    amount = milliseconds(text) if text else None
    return None if amount is None else min(round(amount), LONGEST_MS)


# -- counting --------------------------------------------------------------------------------------------------------


def minutes_of(sifted: Iterable[Sifted]) -> dict[datetime, Minute]:
    """What many frames of one app say, counted by minute."""
    by_minute: dict[datetime, list[Sifted]] = {}
    for one in sifted:
        by_minute.setdefault(one.minute, []).append(one)
    return {minute: _counted(shares) for minute, shares in by_minute.items()}


def _counted(shares: Sequence[Sifted]) -> Minute:
    usual = Counter([times for share in shares for times, _ in share.usual])
    others = [request for share in shares for request in share.others]
    sent = sum([int(size) for share in shares for _, size in share.usual])
    classes: dict[str, int] = {}
    codes: dict[str, int] = {}
    service_times: dict[int, int] = {}
    connect_times: dict[int, int] = {}
    for times, many in usual.items():
        connect, service, answer_class = _read_times(times)
        connect_times[connect] = connect_times.get(connect, 0) + many
        service_times[service] = service_times.get(service, 0) + many
        classes[answer_class] = classes.get(answer_class, 0) + many
    for connect_ms, service_ms, answer, size, code in others:
        classes[_class_of(answer)] = classes.get(_class_of(answer), 0) + 1
        sent += size
        if code is not None:
            codes[code] = codes.get(code, 0) + 1
        for counts, taken in ((connect_times, connect_ms), (service_times, service_ms)):
            if taken is not None:
                counts[bucket_of(taken)] = counts.get(bucket_of(taken), 0) + 1
    return Minute(
        lines=sum(share.lines for share in shares),
        requests=usual.total() + len(others),
        errors=classes.get("5xx", 0),
        bytes=sent,
        by_status=classes,
        by_code=codes,
        service=service_times,
        connect=connect_times,
    )


@lru_cache(maxsize=1 << 14)
def _read_times(times: bytes) -> tuple[int, int, str]:
    """`0ms service=18ms status=200` → either time's bucket, and the class of the status."""
    connect, service, status = times.split(b" ")
    service = service.removeprefix(b"service=")
    return bucket_of(int(connect[:-2])), bucket_of(int(service[:-2])), _class_of(int(status.removeprefix(b"status=")))


def _class_of(status: int | None) -> str:
    """404 → `4xx`."""
    return f"{status // 100}xx" if status is not None and 100 <= status <= 999 else NO_STATUS


def total(minutes: Iterable[Minute]) -> Minute:
    """All of them together; they may be of several apps."""
    minutes = tuple(minutes)
    if len(minutes) == 1:
        return minutes[0]
    return Minute(
        sum(one.lines for one in minutes),
        sum(one.requests for one in minutes),
        sum(one.errors for one in minutes),
        sum(one.bytes for one in minutes),
        _added(one.by_status for one in minutes),
        _added(one.by_code for one in minutes),
        _added(one.service for one in minutes),
        _added(one.connect for one in minutes),
    )


def _added(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    added: Counter[K] = Counter()
    for one in counts:
        added.update(one)
    return dict(added)


# -- as bytes --------------------------------------------------------------------------------------------------------

_HEAD = struct.Struct("<qIIIQHHH")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pack(minutes: Mapping[datetime, Minute]) -> bytes:
    """All of it in a few hundred bytes a minute; what was packed may be joined."""
    parts = []
    for at, one in minutes.items():
        names = json.dumps([one.by_status, one.by_code], separators=(",", ":")).encode()
        service, connect = pack_times(one.service), pack_times(one.connect)
        sizes = len(names), len(service), len(connect)
        minute = (at - _EPOCH) // MINUTE
        parts += [_HEAD.pack(minute, one.lines, one.requests, one.errors, one.bytes, *sizes), names, service, connect]
    return b"".join(parts)


def unpack(packed: bytes) -> dict[datetime, Minute]:
    """What `pack` has packed; the same minute twice is added up."""
    minutes: dict[datetime, Minute] = {}
    at = 0
    while at < len(packed):
        minute, lines, requests, errors, sent, *sizes = _HEAD.unpack_from(packed, at)
        at += _HEAD.size
        pieces = []
        for size in sizes:
            pieces.append(packed[at : at + size])
            at += size
        by_status, by_code = json.loads(pieces[0])
        service, connect = unpack_times(pieces[1]), unpack_times(pieces[2])
        one = Minute(lines, requests, errors, sent, by_status, by_code, service, connect)
        when = _EPOCH + minute * MINUTE
        minutes[when] = minutes[when] + one if when in minutes else one
    return minutes
