"""Text made to fit: a format's limits are kept whatever an app has logged, and what was left out is counted.

Lengths are UTF-16 code units, the greatest that any of the services may count in. A limit is kept by the escaped text, and
no escape sequence is cut in two: so what is cut is the text, and its pieces are measured as they will be sent.
"""

from collections.abc import Callable, Sequence

Escape = Callable[[str], str]

# "… (1,234,567,890 more characters)"
_MARK = 40


def as_it_is(text: str) -> str:
    """For where nothing needs an escape."""
    return text


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def cut(text: str, limit: int, escape: Escape = as_it_is) -> str:
    """`text`, escaped letter by letter, within `limit` units; where it does not fit, its beginning and how many letters more
    there were. `limit` is at least 40."""
    # Every letter has a unit at least: what is longer need not be escaped to know that it does not fit.
    if len(text) <= limit and units(escaped := escape(text)) <= limit:
        return escaped
    kept, room = [], limit - _MARK
    for letter in text:
        piece = escape(letter)
        room -= units(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + escape(f"… ({len(text) - len(kept):,} more characters)")


def cut_lines(lines: Sequence[str], limit: int, escape: Escape = as_it_is, *, longest: int = 500) -> str:
    """`lines` joined by newlines within `limit` units, each of them within `longest`; those that have no room are counted in
    a last line. `limit` is at least 120."""
    kept: list[str] = []
    room = limit
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        shown = cut(line, min(longest, limit - 2 * _MARK), escape)
        needed = units(shown) + 1
        if needed > room - (0 if last else _MARK):
            return "\n".join([*kept, escape(f"… {len(lines) - number:,} more lines")])
        kept.append(shown)
        room -= needed
    return "\n".join(kept)
