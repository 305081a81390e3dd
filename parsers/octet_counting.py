"""Octet counting (RFC 6587 §3.4.1): the body of one frame → its messages, and the stretches of it that are none.

    LEN SP MSG LEN SP MSG …

LEN counts bytes, MSG may hold newlines and bytes that are not UTF-8, and nothing stands between a message and the next
LEN. So one wrong LEN hides where everything after it begins. What helps: a Heroku message begins with `<PRI>1 `, and a
true LEN leads to the body's end or to the next `LEN <`. A place where both hold *proves itself* a message's begin.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# The most digits an octet count has here: `int` of them is safe, and no body that long is ever read.
_DIGITS = 10
# The counts of Logplex's own messages, which are at most 10,240 bytes: to look one up takes a third of `int`'s time.
_USUAL_COUNTS = {b"%d" % count: count for count in range(10_241)}
# The count of a message, by the number of bytes from there to before the newline at its end: `93` where there are 95. None is
# the newline that stands for a length that there is not.
_COUNTS = [b"\n"] * 10_250
for _digits, _count in _USUAL_COUNTS.items():
    _COUNTS[len(_digits) + _count] = _digits
# An octet count with the begin of a message behind it.
_COUNTED = re.compile(rb"(\d{1,10}) <\d{1,3}>\d{1,3} ")
# What follows an octet count where a message begins; stronger, with the date of a header behind it; and what is left of both
# where one of them is damaged.
_HEADER = re.compile(rb" <\d{1,3}>1 ")
_DATED_HEADER = re.compile(rb" <\d{1,3}>1 \d{4}-\d\d-\d\dT\d\d:")
_REMNANT = re.compile(rb"\d <|<\d{1,3}>1 ")
# Who writes lines without a newline at their end: Logplex itself and the add-ons. All others' have one.
_WITHOUT_NEWLINE = re.compile(rb"<\d{1,3}>1 \S{1,64} \S{1,255} \S{1,64} (?:logplex|heroku-[a-z]+) ")


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a frame that could not be read: the byte at which it begins, its bytes, and why, in a sentence."""

    at: int
    body: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message: from `at` to `end` its bytes lie in the frame's body; `counted` is it behind an octet count that holds.

    `at` is where its count begins, or, where that was wrong and is damage, the message itself.
    """

    at: int
    end: int
    body: bytes
    counted: bytes


def octet_counted(message: bytes) -> bytes:
    """`<45>1 …` → `93 <45>1 …`."""
    return b"%d %s" % (len(message), message)


def are_whole(lines: Sequence[bytes], counts: Sequence[bytes]) -> bool:
    """Whether each of some lines, which begin with these words, is one counted message without the newline that ends it.

    What apps and the router write nearly always is, so that a body need only be split at its newlines.
    """
    try:
        return [_COUNTS[len(line)] for line in lines] == list(counts)
    except IndexError:
        return False


def whole_messages(body: bytes) -> tuple[list[bytes], list[int]] | None:
    """The messages of a body in which every octet count holds, and the byte at which each ends; None for any other.

    What stands behind the counts is not looked at. Every body that Logplex makes is one; 0.5 µs a message, where
    `split_messages` takes 2.
    """
    messages: list[bytes] = []
    ends: list[int] = []
    find, usual = body.find, _USUAL_COUNTS.get
    at, size = 0, len(body)
    while at < size:
        space = find(b" ", at)
        digits = (
            body[at:space] if space > 0 else b""
        )  # without a space the count would be looked for up to the last byte
        count = usual(digits)
        if count is None or space < 0:
            if not 0 < space - at <= _DIGITS or not digits.isdigit():
                return None
            count = int(digits)
        at = space + 1 + count
        messages.append(body[space + 1 : at])
        ends.append(at)
    return (messages, ends) if at == size else None


def split_messages(body: bytes) -> list[Message | Damage]:
    """The messages of one frame's body and the stretches between them that are none, in order; each byte is in one.

    A wrong octet count is mended at the next begin, also inside what it covered: the message is kept and ends there, the
    count itself is the damage. A count that runs past the body with no begin after it is damage with all it covers.
    Linear in the body's length, whatever stands in it. Raises nothing.
    """
    found: list[Message | Damage] = []
    at = 0
    while at < len(body):
        space = _count_end(body, at)
        end = space + 1 + int(body[at:space]) if space >= 0 else at
        if space >= 0 and _leads_on(body, end):
            found.append(Message(at, end, body[space + 1 : end], body[at:end]))
            at = end
        elif space < 0:
            at = _skip(body, at, found)
        else:
            at = _shift(body, at, space, found) or _mend(body, at, space, found)
    return found


def _count_end(body: bytes, at: int) -> int:
    """Where the octet count at `at` ends (its space), or -1 where none stands with a `<PRI>VERSION` behind it."""
    counted = _COUNTED.match(body, at)
    return counted.end(1) if counted else -1


def _leads_on(body: bytes, end: int) -> bool:
    """Whether a message may end at `end`: the body does, or another octet count follows."""
    return end == len(body) or (end < len(body) and _count_end(body, end) >= 0)


def _skip(body: bytes, at: int, found: list[Message | Damage]) -> int:
    """Everything up to the next begin is damage, for at `at` stands no octet count."""
    begin = _next_begin(body, at)
    reason = f"no message begins at byte {at}: expected `LEN <PRI>1 `, found {body[at : at + 16]!r}"
    found.append(Damage(at, body[at:begin], reason))
    return begin


def _shift(body: bytes, at: int, space: int, found: list[Message | Damage]) -> int:
    """Where the message at `at` truly begins if its count, which leads nowhere, proves itself with other digits; else 0.

    A count that is one or two too large ends inside the digits of the next, and what is left of them looks like a count;
    one that is too small may end before the digits of a text, which look like the first of the next count.
    """
    before = found[-1] if found else None
    if isinstance(before, Message):
        for begin in range(at - 1, max(before.at + 1, space - _DIGITS) - 1, -1):
            if not body[begin : begin + 1].isdigit():
                break
            if _proves_itself(body, begin, space):
                start = at - len(before.body)
                reason = f"octet count {at - start} ends inside the count of the message at byte {begin}"
                found[-1:] = _mended(body, before.at, start, begin, reason)
                return begin
    for begin in range(at + 1, space):
        end = space + 1 + int(body[begin:space])
        if _leads_on(body, end) and _has_header(body, space + 1, end):
            reason = f"octet count {int(body[at:space])} leads to no message; that of the message at byte {begin} does"
            found.append(Damage(at, body[at:begin], reason))
            return begin
    return 0


def _mend(body: bytes, at: int, space: int, found: list[Message | Damage]) -> int:
    """The message at `at`, whose count leads to no other, up to where it probably ends; then damage up to the next begin.

    A count is believed where what it covers reads as a message and ends as one does, with a newline: then the bytes
    after it are the damage. Without a newline it is believed unless another message begins inside, or the newline comes
    later (`_newline_comes_later`).
    """
    start = space + 1
    count = int(body[at:space])
    end = start + count
    has_header = _has_header(body, start, end)
    complete = has_header and end <= len(body) and body[end - 1 : end] == b"\n"
    begin = _next_begin(body, end if complete else start)
    if complete or (has_header and end <= begin and not _newline_comes_later(body, start, end, begin)):
        found.append(Message(at, end, body[start:end], body[at:end]))
        reason = f"no message begins at byte {end}: expected `LEN <PRI>1 `, found {body[end : end + 16]!r}"
        found.append(Damage(end, body[end:begin], reason))
    elif begin < len(body):
        reason = f"octet count {count} leads to byte {end}, where no message begins; the next begins at byte {begin}"
        found += _mended(body, at, start, begin, reason)
    elif end > len(body):
        found.append(Damage(at, body[at:], f"octet count {count} runs past the body's {len(body)} bytes"))
    else:
        reason = (
            f"octet count {count} covers no header: expected `<PRI>1 ` and 5 fields, found {body[start:end][:48]!r}"
        )
        found.append(Damage(at, body[at:], reason))
    return begin


def _has_header(body: bytes, start: int, end: int) -> bool:
    """Whether there are as many spaces as a header has, not too far from the start."""
    return body.count(b" ", start, min(end, start + 1024)) >= 5


def _newline_comes_later(body: bytes, start: int, end: int, begin: int) -> bool:
    """Whether the message from `start` goes on behind `end`, to the newline just before the message at `begin`.

    It does if the message at `begin` ends with a newline too, its own kind has one, and no other was meant to begin there.
    """
    space = _count_end(body, begin)
    if space < 0 or body[begin - 1 : begin] != b"\n":
        return False
    neighbour_end = space + 1 + int(body[begin:space])
    return (
        body[neighbour_end - 1 : neighbour_end] == b"\n"
        and _WITHOUT_NEWLINE.match(body, start) is None
        and _REMNANT.search(body, end, begin) is None
    )


def _mended(body: bytes, at: int, start: int, end: int, reason: str) -> list[Message | Damage]:
    """The wrong count as damage, and the message that it did not measure."""
    message = body[start:end]
    return [Damage(at, body[at:start], reason), Message(start, end, message, octet_counted(message))]


def _next_begin(body: bytes, at: int) -> int:
    """The first byte from `at` on where a message begins, or the body's end.

    Before it may stand digits that are text (`…took 59` and `93 <45>1 …` touch): the begin is the digit from which the
    count proves itself. Where none does (a sender that counts wrongly throughout) a header with a date is enough.
    """
    for header in _HEADER.finditer(body, at):
        space = header.start()
        first = space
        while first > max(at, space - _DIGITS) and body[first - 1 : first].isdigit():
            first -= 1
        for begin in range(first, space):
            if _proves_itself(body, begin, space):
                return begin
        if first < space and _DATED_HEADER.match(body, space):
            return first
    return len(body)


def _proves_itself(body: bytes, begin: int, space: int) -> bool:
    return _leads_on(body, space + 1 + int(body[begin:space]))
