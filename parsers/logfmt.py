"""logfmt: `key=value` pairs, bare or quoted, among words or alone.

Never raises: a quote that is not closed (a line cut at 10,000 bytes) runs to the end, words without `=` are passed over.
"""

import re

# A key begins a word, so that each word is tried once and the time is linear. A quoted value ends at a quote that no
# backslash escapes, or with the text.
_PAIR = re.compile(r'(?<!\S)([A-Za-z_][^\s="]*)=(?:"([^"\\]*(?:\\.?[^"\\]*)*)(?:"|$)|(\S*))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def read_pairs(text: str) -> dict[str, str]:
    """Its pairs, in order; the last of equal keys wins. An empty value is the empty string."""
    return {key: bare or unescaped(quoted) for key, quoted, bare in _PAIR.findall(text)}


def read_values(text: str) -> list[tuple[str, str, bool]]:
    """Key, value, and whether it was quoted (`user_id="7"` is text, `user_id=7` may be a number)."""
    return [
        (key, bare, False) if bare else (key, unescaped(quoted), bool(quoted))
        for key, quoted, bare in _PAIR.findall(text)
    ]


def unescaped(quoted: str) -> str:
    r"""`say \"hi\"` → `say "hi"`."""
    if "\\" not in quoted:
        return quoted
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), quoted)
