"""What a receiver answers, without what only drainwatch and it should know: error pages repeat URLs and bodies."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

# Shorter parts of a URL are words rather than secrets: `v1`, `hook`.
_LEAST = 6
_MASK = "…"


def secrets_of(url: str, *others: str | None) -> list[str]:
    """Everything of the URL that may be a secret, and `others`; the longest first, so that none is left of a longer one."""
    parts = urlsplit(url)
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = [
        piece for piece in rest.replace("?", "/").replace("&", "/").replace("=", "/").split("/") if len(piece) >= _LEAST
    ]
    found = {url, rest, *pieces, *(one for one in others if one)}
    found |= {unquote(one) for one in found}
    return sorted((one for one in found if len(one) >= _LEAST), key=len, reverse=True)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with `…` for each of `secrets`, also for the beginning of one that `text`, itself cut, ends in."""
    for secret in secrets:
        text = text.replace(secret, _MASK)
        cut = next((n for n in range(len(secret) - 1, _LEAST - 1, -1) if text.endswith(secret[:n])), 0)
        text = text[: len(text) - cut] + _MASK if cut else text
    return text
