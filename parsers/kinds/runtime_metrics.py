"""Samples of the platform: load and memory of a dyno, and of its add-ons' databases (Heroku: log-runtime-metrics; Postgres and
Redis metrics logs).

    source=web.1 dyno=heroku.2808254.d97d0ea7-… sample#memory_total=221.47MB sample#memory_pgpgin=149293pages …
    source=DATABASE addon=postgresql-curly-12345 sample#db_size=26219348792bytes sample#memory-total=4045060kB …

Each sample becomes a number named after it and its unit. Keys mix `_` and `-`, and the same quantity is in kB here and in
bytes there: so `-` becomes `_`, and whatever is a size is in MB: `memory_total_mb`, `db_size_mb`, `memory_pgpgin_pages`.
"""

import re

from parsers.event import FieldValue, Severity
from parsers.kinds.meaning import Meaning
from parsers.line import Line
from parsers.logfmt import read_pairs
from parsers.quantities import megabytes, milliseconds, number

_SAMPLE = "sample#"
_UNIT = re.compile(r"(.*[0-9])([A-Za-z]+)", re.DOTALL)
_SIZES = ("bytes", "kB", "KB", "MB", "GB", "B")


def read(line: Line) -> Meaning | None:
    """The samples with their `source`, and of which `addon`, or of which `instance` of the dyno (another one after each start).

    A value that is no number in a unit is kept as text. Other pairs than samples are kept as well.
    """
    if not line.text.startswith("source=") or _SAMPLE not in line.text:
        return None
    fields: dict[str, FieldValue] = {}
    for key, value in read_pairs(line.text).items():
        if key.startswith(_SAMPLE):
            name, amount = _sample(key.removeprefix(_SAMPLE).replace("-", "_"), value)
            fields[name] = amount
        else:
            fields["instance" if key == "dyno" else key] = value
    dyno = line.process if line.source == "heroku" else None
    return Meaning("runtime_metrics", Severity.INFO, dyno=dyno, fields=fields)


def _sample(name: str, value: str) -> tuple[str, FieldValue]:
    amount = number(value)
    if amount is not None:
        return name, amount
    found = _UNIT.fullmatch(value)
    unit = found[2] if found else ""
    if unit in _SIZES and (size := megabytes(value)) is not None:
        return f"{name}_mb", size
    if unit in ("ms", "us", "s") and (took := milliseconds(value)) is not None:
        return f"{name}_ms", took
    if found and (counted := number(found[1])) is not None:
        return f"{name}_{unit.lower()}", counted
    return name, value
