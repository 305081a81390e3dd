"""The words tests are written in: what Heroku would send, said briefly.

    frame_of(crash("web.1", "12:00"), up("web.1", "12:01"))

Times are `12:00`, `12:00:04.5` (on DAY, UTC), whole ISO 8601 texts, or datetimes.
"""

from datetime import UTC, datetime, timedelta

DAY = "2026-05-11"
NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)

_ROUTER = {
    "at": "info",
    "code": None,
    "desc": None,
    "method": "GET",
    "path": "/",
    "host": "example-app.herokuapp.com",
    "request_id": "6903a168-b79b-ec27-03c8-b8f64d8d8792",
    "fwd": "203.0.113.9",
    "dyno": "web.1",
    "connect": "0ms",
    "service": "12ms",
    "status": "200",
    "bytes": "13",
    "protocol": "http1.1",
    "tls": "true",
    "tls_version": "tls1.3",
}
_QUOTED = ("desc", "cause", "path", "fwd", "agent")
_DESCRIPTIONS = {"H10": "App crashed", "H12": "Request timeout", "H14": "No web processes running"}
_NO_DYNO = {"dyno": "", "connect": "", "service": "", "status": "503", "bytes": ""}


def at(time: str | datetime) -> datetime:
    """`12:04` → that minute of DAY, aware UTC."""
    if isinstance(time, datetime):
        return time.astimezone(UTC)
    if "T" in time:
        return datetime.fromisoformat(time)
    return datetime.fromisoformat(f"{DAY}T{time}+00:00")


def stamp(time: str | datetime) -> str:
    """As Logplex writes it: microseconds without trailing zeros, or none at all."""
    moment = at(time)
    fraction = f"{moment:%f}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}+00:00"


def counted(message: str | bytes) -> bytes:
    """One message behind its octet count."""
    raw = message if isinstance(message, bytes) else message.encode()
    return b"%d %s" % (len(raw), raw)


def message(source: str, process: str, text: str, ts: str | datetime = NOON) -> bytes:
    """One octet-counted message as Logplex sends it, with its newline."""
    priority = 158 if process == "router" else 190 if source == "app" else 45
    return counted(f"<{priority}>1 {stamp(ts)} host {source} {process} - {text}\n")


def frame_of(*messages: bytes) -> bytes:
    """The body of one POST."""
    return b"".join(messages)


def router_text(**pairs: str | int | None) -> str:
    """`code="H12"` and what else differs → the text of a router line; None leaves a key out."""
    known = dict(_ROUTER)
    if code := pairs.get("code"):
        known |= {"at": "error", "desc": _DESCRIPTIONS.get(str(code), "Something"), "status": "503"}
        known |= _NO_DYNO if code in ("H10", "H14") else {}
    values = known | {key: None if value is None else str(value) for key, value in pairs.items()}
    return " ".join(
        f'{key}="{value}"' if key in _QUOTED else f"{key}={value}" for key, value in values.items() if value is not None
    )


def router_line(ts: str | datetime = NOON, **pairs: str | int | None) -> bytes:
    """A request, well by default: `router_line("12:00", code="H12", path="/poll", service="30001ms")`."""
    return message("heroku", "router", router_text(**pairs), ts)


def state(dyno: str, before: str, after: str, ts: str | datetime = NOON) -> bytes:
    """`State changed from starting to up`."""
    return message("heroku", dyno, f"State changed from {before} to {after}", ts)


def up(dyno: str, ts: str | datetime = NOON) -> bytes:
    """The dyno came up."""
    return state(dyno, "starting", "up", ts)


def crash(dyno: str, ts: str | datetime = NOON, *, before: str = "up") -> bytes:
    """The dyno crashed."""
    return state(dyno, before, "crashed", ts)


def exited(dyno: str, status: int, ts: str | datetime = NOON) -> bytes:
    """Its process ended."""
    return message("heroku", dyno, f"Process exited with status {status}", ts)


def boot_timeout(dyno: str, ts: str | datetime = NOON) -> bytes:
    """R10."""
    text = "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch"
    return message("heroku", dyno, text, ts)


def memory_quota(dyno: str, ts: str | datetime = NOON, *, used: str = "589M(115.1%)", code: str = "R14") -> bytes:
    """R14, or R15, with the line before it: two messages."""
    name = "Memory quota exceeded" if code == "R14" else "Memory quota vastly exceeded"
    running = message("heroku", dyno, f"Process running mem={used}", ts)
    return running + message("heroku", dyno, f"Error {code} ({name})", ts)


def api(text: str, ts: str | datetime = NOON, *, by: str = "user@example.com") -> bytes:
    """A line of the API: `api("Deploy 193d1419", "12:00")`."""
    return message("app", "api", f"{text} by user {by}" if by else text, ts)


def dropped(count: int, since: str | datetime, ts: str | datetime = NOON) -> bytes:
    """The line that Logplex puts first in a frame when it dropped some; it has no newline."""
    text = f"Error L10 (output buffer overflow): {count} messages dropped since {stamp(since)}."
    return counted(f"<172>1 {stamp(ts)} host heroku logplex - {text}")


def seconds_after(time: str | datetime, seconds: float) -> datetime:
    """So many seconds later."""
    return at(time) + timedelta(seconds=seconds)
