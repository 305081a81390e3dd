"""The figures of the design as one table: each benchmark records its own, `python tests/bench/figures.py FILE` prints them.

`make bench` names the FILE in the environment (FIGURES); a benchmark that is run alone prints its figure and records nothing.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured `here`, beside what, and what of it is wanted; `met` says whether it is so."""

    what: str
    here: str
    against: str
    ratio: str
    goal: str
    met: bool


def record(figure: Figure) -> None:
    """Prints the figure, and keeps it for the table where one is made."""
    print(f"{figure.what}: {figure.here}; {figure.against}; {figure.ratio} (goal {figure.goal})", flush=True)
    if file := os.environ.get("FIGURES"):
        with Path(file).open("a") as out:
            out.write(json.dumps(asdict(figure)) + "\n")


def table(figures: list[Figure]) -> str:
    """The figures, one a row, in columns."""
    head = ("what", "here", "against", "ratio", "goal", "")
    rows = [(one.what, one.here, one.against, one.ratio, one.goal, "" if one.met else "short") for one in figures]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    print(table([Figure(**json.loads(line)) for line in Path(sys.argv[1]).read_text().splitlines()]))
