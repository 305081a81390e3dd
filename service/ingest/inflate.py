"""A gzip body → what it holds, never more than is allowed of it (RFC 1952).

Hard about it: ten kilobytes may become ten megabytes, and a body may be thousands of members that hold nothing. So it is
inflated in steps, each bounded, and the members are counted.
"""

import zlib

# What is given to zlib, and taken from it, at once.
STEP_BYTES = 64 << 10
# Several members are what `cat a.gz b.gz` makes. Each costs 10 µs however little it holds.
MOST_MEMBERS = 1000


class NotGzip(ValueError):
    """The body is no gzip, or is damaged or cut short; `str()` says why."""


class TooLarge(ValueError):
    """It holds more than is allowed."""


def inflate(body: bytes, *, most: int) -> bytes:
    """What the members of `body` hold, joined; zeros behind the last are padding. Raises NotGzip and TooLarge.

    Uses `most` bytes of memory at the most, and time in proportion to what it reads and makes.
    """
    parts: list[bytes] = []
    at, left = 0, most
    for _ in range(MOST_MEMBERS):
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not member.eof:
            piece = member.unconsumed_tail
            if not piece:
                piece = body[at : at + STEP_BYTES]
                at += len(piece)
            if not piece:
                raise NotGzip("the gzip ends too soon")
            try:
                part = member.decompress(piece, min(STEP_BYTES, left + 1))
            except zlib.error as error:
                raise NotGzip(f"the gzip is damaged: {error}") from None
            left -= len(part)
            if left < 0:
                raise TooLarge
            parts.append(part)
        at -= len(member.unused_data)
        if body[at : at + 1] in (b"", b"\0") and body.count(0, at) == len(body) - at:
            return b"".join(parts)
    raise NotGzip(f"the gzip has more than {MOST_MEMBERS} members")
