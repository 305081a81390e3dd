"""So many within a time: what is counted of the marks in a window, and which of them are worth keeping."""

from dataclasses import dataclass
from datetime import datetime

from service.detect.detector import Mark

# A window keeps this many marks at most where the measure needs all of them (a sum, distinct values).
WINDOW_MARKS = 1000


@dataclass(frozen=True, slots=True)
class Measure:
    """`what` is count, sum, minutes or values. Of a sum: `of` another one, as a share of it, where that is `least` or more;
    `apart`: of marks with one value only the greatest counts, which is what a number that is counted on needs."""

    what: str = "count"
    of: bool = False
    least: float = 0.0
    apart: bool = False


def reaches(measure: Measure, marks: tuple[Mark, ...], count: float) -> bool:
    """Whether `marks` come to `count`; a share must be above it."""
    if measure.of:
        return sum(mark.of for mark in marks) >= max(measure.least, 1) and share(marks) > count
    return _amount(measure, marks) >= count


def share(marks: tuple[Mark, ...]) -> float:
    """What part one sum is of the other; all of it where the other is none, so that nothing is no health."""
    of = sum(mark.of for mark in marks)
    return sum(mark.number for mark in marks) / of if of else 1.0


def keep(measure: Measure, marks: tuple[Mark, ...], *, since: datetime, most: int) -> tuple[Mark, ...]:
    """The marks after `since`; of a count the `most` newest, which are all that it can need."""
    return after(marks, since)[-(most if measure.what == "count" else WINDOW_MARKS) :]


def after(marks: tuple[Mark, ...], since: datetime) -> tuple[Mark, ...]:
    """Those of `marks`, oldest first, that are after `since`; in a storm all of them are."""
    return marks if not marks or marks[0].at > since else tuple(mark for mark in marks if mark.at > since)


def _amount(measure: Measure, marks: tuple[Mark, ...]) -> float:
    match measure.what:
        case "sum" if measure.apart:
            greatest: dict[str, float] = {}
            for mark in marks:
                greatest[mark.value] = max(mark.number, greatest.get(mark.value, 0.0))
            return sum(greatest.values())
        case "sum":
            return sum(mark.number for mark in marks)
        case "minutes":
            return len({mark.at.replace(second=0, microsecond=0) for mark in marks})
        case "values":
            return len({mark.value for mark in marks})
    return len(marks)
