"""A frame as bytes on the wire: the headers that Logplex sends, in its order, and nothing else."""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

USER_AGENT = "Logplex/v72"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a drain leads, and with which credentials. `host` with its port only where the URL names one."""

    host: str
    name: str
    port: int
    tls: bool
    path: str
    authorization: str
    drain_token: str

    @classmethod
    def of(cls, url: str, *, app: str, secret: str, drain_token: str) -> "Target":
        """The drain at `url`, which has no credentials in it."""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return cls(
            host=parts.netloc,
            name=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "https",
            path=(parts.path or "/") + query,
            authorization="Basic " + base64.b64encode(f"{app}:{secret}".encode()).decode(),
            drain_token=drain_token,
        )


def logplex_request(target: Target, *, frame_id: str, messages: int, body: bytes) -> bytes:
    """The request of a node of Logplex."""
    return _request(
        target,
        {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(messages),
            "Logplex-Frame-Id": frame_id,
            "Logplex-Drain-Token": target.drain_token,
            "User-Agent": USER_AGENT,
        },
        body,
    )


def shuttle_request(target: Target, *, request_id: str, messages: int, body: bytes) -> bytes:
    """The request of a dyno's log-shuttle in a Shield Private Space: no frame id and no token, but a request id."""
    return _request(
        target,
        {
            "User-Agent": "log-shuttle/0.18.0 (go1.21; linux; amd64; gc)",
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(messages),
            "X-Request-Id": request_id,
        },
        body,
    )


def frame_id_of(app: str, place: int, body: bytes) -> str:
    """A frame id that is the same whenever the same is sent again: `place` is that of the frame in all that is sent."""
    return hashlib.sha256(f"{app} {place} ".encode() + body).hexdigest()[:32].upper()


def _request(target: Target, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.host}", f"Authorization: {target.authorization}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
