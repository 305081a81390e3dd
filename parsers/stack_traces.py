"""Stack traces as five languages print them: how one begins, how it goes on, and what it says.

    Python    Traceback (most recent call last):  …  KeyError: 'x'       the exception last; chained ones and groups in one
    Node      TypeError: x is not a function      …  at run (/app/x.js:1:2)
    Java      java.lang.IllegalStateException: x  …  \tat com.example.Shop.pay(Shop.java:12)  …  Caused by: …
    Ruby      app.rb:5:in `pay': no (RuntimeError) …  \tfrom app.rb:9:in `<main>'; in Rails: RuntimeError (no):
    Go        panic: no  …  goroutine 1 [running]:  …  \t/app/main.go:12 +0x1d

A trace is a sequence of *phases*. A phase that ends in `?` is a head alone: a line that may begin a trace, and did not if no
frame follows. A line between that has no trace's form may be a further line of a message; how many there may be is
`multiline.py`'s to say. Lines come as `multiline.bare` leaves them. Each function is linear in the text.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_TRACEBACK = "Traceback (most recent call last)"
FRAMES = 50  # kept of one trace, the newest calls

# One of these is in every line that may begin a trace, but for Python's and Ruby's own.
HEADS = (b"Error", b"Exception", b"::", b"panic", b"fatal error")

_CHAINED = re.compile(
    r"(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\s*"
)
_IN_GROUP = re.compile(r"\s+[|+] ?")
_PYTHON_FRAME = re.compile(r'\s+File "([^"]*)", line (\d{1,9})(?:, in (.*))?', re.DOTALL)
_RAISED = re.compile(r"((?:[A-Za-z_]\w*\.)*(?:<locals>\.)?[A-Za-z_]\w*)(?:: (.*)|:?\s*)", re.DOTALL)
_LEVELS = frozenset(("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "NOTICE", "TRACE"))

# An exception's name and what may follow it: `TypeError: …`, `Error [ERR_X]: …`, `NoMethodError (…):`, or nothing.
_NAME = re.compile(r"(?:Error|Exception)[\w$]{0,60}(?: \[\w{1,60}\])?(?=: |:?\s*$| \()")
_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$:/"
_RAILS = re.compile(r"([A-Z]\w*(?:::[A-Z]\w*)+) \((.*)\):?\s*$", re.DOTALL)
_RUBY = re.compile(r"(?:\s+from |from |\s+)?([^\s:][^:]*:\d{1,9}):in [`']([^`']*)['`](?:: (.*))?", re.DOTALL)
_RUBY_RAISED = re.compile(r"(.*) \(([A-Z]\w*(?:::\w+)*)\)\s*", re.DOTALL)
_AT = re.compile(
    r"\s+at (?:async )?(.*(?::\d{1,9}\)?|\((?:native|Native Method|Unknown Source|<[a-z]{1,20}>)\)|<anonymous>))"
    r"(?: ~?\[[^\]]{0,120}\]| \{)?\s*$"
)
_JAVA_PLACE = re.compile(r"[\w$-]+\.\w+:\d+|Native Method|Unknown Source|<generated>")
_CAUSE = re.compile(r"\s*(?:\[cause\]: |Caused by: |Suppressed: )")
_MORE = re.compile(r"\s+\.\.\. \d+ (?:more|common frames|lines matching)")

_PANIC = re.compile(r"(?:http: )?(panic|fatal error)(?: serving \S+)?: (.*)", re.DOTALL)
_GOROUTINE = re.compile(r"goroutine \d+ \[[^\]]*\]:\s*")
_GO_PLACE = re.compile(r"\t(\S+:\d+)(?: \+0x[0-9a-f]+)?\s*")


@dataclass(frozen=True, slots=True)
class Trace:
    """What a trace says. `line` names the exception as printed; `frames` as `path:line in function`, the newest call first in
    every language; `causes` what led to it (and a group's members), nearest first, as `Name: message`."""

    language: str
    exception: str | None
    message: str | None
    line: str
    frames: tuple[str, ...]
    causes: tuple[str, ...]


def begin(text: str) -> str | None:
    """The phase of a trace that begins with this line; None where none may."""
    if text.rstrip().endswith(_TRACEBACK + ":"):
        return "python.group" if "Exception Group" in text else "python"
    if _PANIC.match(text):
        return "go?"
    ruby = _RUBY.match(text)
    if ruby and ruby[3] and _RUBY_RAISED.fullmatch(ruby[3]):
        return "printed?"
    return "printed?" if _named(text) else None


def step(phase: str, text: str) -> str | None:
    """The phase after a line that is of the trace; None for a line that is not, or is a message's further line."""
    return _STEPS[phase.removesuffix("?")](phase, text)


def read(phase: str, lines: Sequence[str]) -> Trace | None:
    """What the lines of a trace say, up to one in this phase; None for a head alone."""
    return None if phase.endswith("?") else _READERS[phase](lines)


# -- Python ----------------------------------------------------------------------------------------------------------


def _python(phase: str, text: str) -> str | None:
    if _TRACEBACK in text:
        return begin(text) if phase == "python.chained" else None
    if phase == "python.raised":
        return "python.chained" if _CHAINED.fullmatch(text) else None
    if phase == "python":
        return "python" if text[:1] == " " else "python.raised" if _raised(text) else None
    return None


def _python_group(phase: str, text: str) -> str | None:
    """A group's lines stand behind `|`, its members deeper."""
    if behind := _IN_GROUP.match(text):
        return "python.group.raised" if phase == "python.group.raised" or _raised(text[behind.end() :]) else phase
    return "python.chained" if phase == "python.group.raised" and _CHAINED.fullmatch(text) else None


def _raised(text: str) -> tuple[str, str] | None:
    """Name and message of a line like `KeyError: 'x'`; None for one that only looks so (`INFO: ready`, `done`)."""
    found = _RAISED.fullmatch(text)
    if found is None or found[1] in _LEVELS:
        return None
    last = found[1].rpartition(".")[2].lstrip("_")
    return (found[1], (found[2] or "").rstrip()) if "." in found[1] or last[:1].isupper() else None


def _read_python(lines: Sequence[str]) -> Trace:
    """Each traceback of a chain is read; the last one is the exception, those before are its causes."""
    parts: list[_Part] = []
    for line in lines:
        behind = _IN_GROUP.match(line) if parts and parts[-1].grouped else None
        text = line[behind.end() :] if behind else line
        if _TRACEBACK in text and not behind:
            parts.append(_Part(grouped="Exception Group" in text))
        elif parts[-1].raised is None and (frame := _PYTHON_FRAME.fullmatch(text.rstrip())):
            parts[-1].frames.append(_frame(f"{frame[1]}:{frame[2]}", frame[3]))
        elif raised := None if text[:1] == " " else _raised(text):
            if parts[-1].raised is None:
                parts[-1].raised, parts[-1].line = raised, text.rstrip()
            elif behind:
                parts[-1].members.append(_cause(raised))
    last, before = parts[-1], [one for one in reversed(parts[:-1]) if one.raised]
    if last.raised is None and before:  # cut off in the midst: the one that it was to explain is known
        last, before = before[0], before[1:]
    return _trace(
        "python", last.raised, last.line, last.frames[::-1], last.members + [_cause(one.raised) for one in before]
    )


@dataclass(slots=True)
class _Part:
    """One traceback of a chain, while it is read."""

    grouped: bool
    raised: tuple[str, str] | None = None
    line: str = _TRACEBACK + ":"
    frames: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)


# -- Node, Java, Ruby: the exception first, the newest call below it -----------------------------------------------------


def _printed(phase: str, text: str) -> str | None:
    if _AT.match(text):
        return "printed"
    if ruby := _RUBY.match(text):
        return "printed" if not ruby[3] or (phase == "printed" and _RUBY_RAISED.fullmatch(ruby[3])) else None
    return phase if phase == "printed" and (_CAUSE.match(text) or _MORE.match(text)) else None


def _named(text: str) -> tuple[str, str] | None:
    """Name and message where a line names an exception: `a.b.Error: x`, `Error`, `pay: TypeError: x`, `NoMethodError (x)`."""
    if found := _NAME.search(text):
        begin = len(text[: found.start()].rstrip(_NAME_LETTERS))
        name, message = text[begin : found.end()].lstrip("0123456789.:$/"), text[found.end() :].strip()
        if message.startswith("("):
            return name, message[1:].removesuffix(":").removesuffix(")")
        return name, message.removeprefix(":").strip()
    rails = _RAILS.match(text)
    return (rails[1], rails[2]) if rails else None


def _read_printed(lines: Sequence[str]) -> Trace:
    head, language = lines[0], ""
    frames: list[str] = []
    ruby = _RUBY.match(head)
    raised = _ruby_raised(ruby[3]) if ruby and ruby[3] else _named(head)
    if ruby and ruby[3]:
        frames.append(_frame(ruby[1], ruby[2]))
    causes: list[tuple[str, str]] = []
    for line in lines[1:]:
        cause = _CAUSE.match(line)
        if cause and (named := _named(line[cause.end() :])):
            causes.append(named)
        elif at := _AT.match(line):
            place, function = _place(at[1])
            language = language or ("java" if _JAVA_PLACE.fullmatch(place) else "node")
            if not causes:
                frames.append(_frame(place, function))
        elif ruby := _RUBY.match(line):
            language = language or "ruby"
            if ruby[3] and (named := _ruby_raised(ruby[3])):
                causes.append(named)
            elif not causes:
                frames.append(_frame(ruby[1], ruby[2]))
    return _trace(language, raised, head.strip(), frames, [_cause(one) for one in causes])


def _ruby_raised(text: str) -> tuple[str, str] | None:
    found = _RUBY_RAISED.fullmatch(text)
    return (found[2], found[1]) if found else None


def _place(call: str) -> tuple[str, str | None]:
    """`run (/app/x.js:1:2)`, `com.example.Shop.pay(Shop.java:12)` or `/app/x.js:1:2` → place and function."""
    begin = call.rfind("(")
    if begin < 0:
        return call, None
    return call[begin + 1 :].removesuffix(")"), call[:begin].strip()


# -- Go --------------------------------------------------------------------------------------------------------------


def _go(phase: str, text: str) -> str | None:
    if _GOROUTINE.fullmatch(text):
        return "go"
    if phase == "go?":
        return "go?" if text.startswith(("\tpanic: ", "[signal ")) else None
    call = text[:1].isalpha() and text.rstrip().endswith(")")
    return "go" if call or _GO_PLACE.fullmatch(text) or text.startswith("created by ") else None


def _read_go(lines: Sequence[str]) -> Trace:
    """Of the goroutine that is printed first, which is the one that panicked."""
    found = _PANIC.match(lines[0])
    frames: list[str] = []
    call: str | None = None
    goroutines = 0
    for line in lines[1:]:
        goroutines += _GOROUTINE.fullmatch(line) is not None
        if place := _GO_PLACE.fullmatch(line):
            if goroutines == 1:
                frames.append(_frame(place[1], call))
        else:
            call = line[: line.rfind("(")] if line.rstrip().endswith(")") else line.removeprefix("created by ")
    return _trace("go", (found[1], found[2].rstrip()) if found else None, lines[0].strip(), frames, [])


# -- what all have ---------------------------------------------------------------------------------------------------


def _trace(
    language: str, raised: tuple[str, str] | None, line: str, frames: Sequence[str], causes: Sequence[str]
) -> Trace:
    name, message = raised or (None, None)
    return Trace(language, name, message, line, tuple(frames[:FRAMES]), tuple(causes[:FRAMES]))


def _frame(place: str, function: str | None) -> str:
    return f"{place} in {function}" if function else place


def _cause(raised: tuple[str, str] | None) -> str:
    return ": ".join(part for part in raised or () if part)


_STEPS: dict[str, Callable[[str, str], str | None]] = {
    "python": _python,
    "python.raised": _python,
    "python.chained": _python,
    "python.group": _python_group,
    "python.group.raised": _python_group,
    "printed": _printed,
    "go": _go,
}
_READERS: dict[str, Callable[[Sequence[str]], Trace]] = {
    "python": _read_python,
    "python.raised": _read_python,
    "python.chained": _read_python,
    "python.group": _read_python,
    "python.group.raised": _read_python,
    "printed": _read_printed,
    "go": _read_go,
}
