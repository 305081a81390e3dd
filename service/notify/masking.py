"""What a receiver answers, without what only drainwatch and it should know: error pages repeat URLs and bodies."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_LEAST = 6
# A part of a path without digits is a word up to here (`webhooks`, `services`), and a key beyond.
_WORD = 20
_MASK = "…"


def secrets_of(url: str, *others: str | None) -> list[str]:
    """Everything of the URL that may be a secret, and `others`; the longest first, so that none is left of a longer one."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = [one for one in parts.path.split("/") if len(one) >= _WORD or any(letter.isdigit() for letter in one)]
    pieces += [value for pair in parts.query.split("&") for value in pair.split("=")]
    found = {url, target, *pieces, *(one for one in others if one)}
    found |= {unquote(one) for one in found}
    return sorted((one for one in found if len(one) >= _LEAST), key=len, reverse=True)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with `…` for each of `secrets`, also for the beginning of one that `text`, itself cut, ends in."""
    for secret in secrets:
        text = text.replace(secret, _MASK)
        cut = next((n for n in range(len(secret) - 1, _LEAST - 1, -1) if text.endswith(secret[:n])), 0)
        text = text[: len(text) - cut] + _MASK if cut else text
    return text
