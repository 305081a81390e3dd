"""Quantities as logs write them (`30001ms`, `512.00MB`, `15m`) → numbers in a unit that the function's name says.

None means that the text is no such quantity. Whole values come out as int, so that JSON shows 512 and not 512.0.
"""

import re

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")  # 15 digits: what a float holds exactly
_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?([A-Za-z]*)")

_MS = {"": 1, "ms": 1, "s": 1000, "us": 0.001, "µs": 0.001}
_MB = {
    "": 1,
    "M": 1,
    "MB": 1,
    "G": 1024,
    "GB": 1024,
    "K": 1 / 1024,
    "kB": 1 / 1024,
    "KB": 1 / 1024,
    "bytes": 1 / 1024**2,
}
_SECONDS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def number(text: str) -> int | float | None:
    """`7` → 7, `0.97` → 0.97. None for what a number would not give back: `007`, `1e5`, a hash of twenty digits."""
    if _NUMBER.fullmatch(text) is None:
        return None
    return float(text) if "." in text else int(text)


def milliseconds(text: str) -> int | float | None:
    """`30001ms` → 30001, `18` → 18, `1.5s` → 1500."""
    digits = text.removesuffix("ms")
    if digits.isdecimal() and len(digits) <= 15:  # nearly always, and a third of the time
        return int(digits)
    return _in(text, _MS)


def megabytes(text: str) -> int | float | None:
    """`512M` → 512, `221.47MB` → 221.47, `4045060kB` → 3950.25 (Heroku's MB are 1024 kB)."""
    return _in(text, _MB)


def seconds(text: str) -> int | float | None:
    """`15m` → 900, `2h` → 7200, `90` → 90."""
    return _in(text, _SECONDS)


def _in(text: str, units: dict[str, float]) -> int | float | None:
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in units:
        return None
    amount, unit = found[1], units[found[2]]
    if unit == 1 and "." not in amount:
        return int(amount)
    value = round(float(amount) * unit, 3)
    return int(value) if value == int(value) else value
