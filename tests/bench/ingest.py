"""Durable ingest of one web process, beside psql's `\\copy` of the same lines as rows with one index (app, ts).

Both write to the same server, one after the other, several times; the ratio of the medians is the figure. Small bodies are
measured in requests, beside a bare endpoint on the same server program. `python tests/bench/ingest.py` measures all;
`… [LINES_PER_BODY] [CONNECTIONS] [LINES]` one of them.
"""

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import cast

import asyncpg
import uvloop
from figures import Figure, record
from traffic import bodies, lines

from processes import free_port
from service.ingest import drains
from service.store import schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.store.embedded_places import installed_binaries

ROUNDS = int(os.environ.get("ROUNDS", "3"))
# Bodies of fewer lines are measured in requests, beside a bare endpoint.
FEW = 20
# rsyslog's imhttp → ompgsql took 34,800 lines/s on two cores, acknowledged before they were stored (DESIGN section 12).
RSYSLOG_BODY, RSYSLOG_LINES, RSYSLOG_TIMES = 440, 34_800, 4
ALL = ((100, 32, 100_000), (RSYSLOG_BODY, 8, 100_000), (5, 32, 50_000))


async def main(per_body: int, connections: int, number: int) -> None:
    """Records lines/s of either and their ratio."""
    messages = list(lines(number))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = EmbeddedPostgres(home)
        url = await postgres.start()
        try:
            await schema.migrate(url)
            db = Database.open(url)
            drain = await drains.add(
                db, app="bench-prod", environment="production", logplex_token=None, public_url="http://127.0.0.1:8123"
            )
            await db.close()
            process = await _start_web(url, home)
            try:
                posted, copied, bare = [], [], []
                for at in range(ROUNDS):
                    copied.append(number / _copy(url, messages, home))
                    posted.append(number / await _post(bodies(messages, per_body), connections, drain.secret, at))
                    if per_body < FEW:
                        bare.append(number / await _post_to_bare(bodies(messages, per_body), connections))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            await _check(url, expected=number * ROUNDS)
        finally:
            await postgres.stop()
    _record(per_body, connections, ours=median(posted), copied=median(copied), bare=median(bare) if bare else None)


def _record(per_body: int, connections: int, *, ours: float, copied: float, bare: float | None) -> None:
    what = f"durable ingest, {per_body} lines a body, {connections} connections"
    if bare is not None:
        here, against = f"{ours / per_body:,.0f} requests/s", f"bare endpoint {bare / per_body:,.0f} requests/s"
        record(Figure(what, here, against, f"{ours / bare:.2f}", "0.5", ours >= 0.5 * bare))
        return
    here = f"{ours:,.0f} lines/s"
    if per_body == RSYSLOG_BODY:
        against, ratio = f"rsyslog {RSYSLOG_LINES:,} lines/s, as the design gives it", ours / RSYSLOG_LINES
        record(Figure(what, here, against, f"{ratio:.2f}", str(RSYSLOG_TIMES), ratio >= RSYSLOG_TIMES))
        return
    ratio = ours / copied
    record(Figure(what, here, f"\\copy {copied:,.0f} lines/s", f"{ratio:.2f}", "0.8", ratio >= 0.8))


async def _start_web(url: str, home: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "DATABASE_URL": url, "PORT": "8123", "DRAINWATCH_HOME": str(home)}
    process = subprocess.Popen([str(Path(sys.executable).parent / "drainwatch"), "web"], env=environment)
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", 8123)
            writer.close()
            return process
        await asyncio.sleep(0.05)
    raise SystemExit("drainwatch web did not listen within 10 s")


class _Sender(asyncio.Protocol):
    """One connection, one request in flight; takes the next body when the answer is there."""

    def __init__(self, waiting: list[bytes], head: bytes, tag: str, done: asyncio.Future[None]) -> None:
        self._waiting, self._head, self._tag, self._done = waiting, head, tag, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._next()

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"HTTP/1.1 204"), data[:200]
        self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        body = self._waiting.pop()
        head = self._head % (f"{self._tag}-{len(self._waiting)}".encode(), len(body))
        self._transport.write(head + body)


async def _post_to_bare(waiting: list[bytes], connections: int) -> float:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "bare.py"), str(port)])
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        return await _post(waiting, connections, "nobody", 0, port=port)
    finally:
        process.terminate()
        process.wait(20)


async def _post(waiting: list[bytes], connections: int, secret: str, number: int, port: int = 8123) -> float:
    authorization = base64.b64encode(f"bench-prod:{secret}".encode())
    head = (
        b"POST /drain HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic " + authorization + b"\r\n"
        b"Content-Type: application/logplex-1\r\nLogplex-Frame-Id: %b\r\nUser-Agent: Logplex/v72\r\nContent-Length: %d\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    done = [loop.create_future() for _ in range(connections)]
    for one in done:
        await loop.create_connection(lambda one=one: _Sender(waiting, head, str(number), one), "127.0.0.1", port)
    await asyncio.gather(*done)
    return time.perf_counter() - began


def _copy(url: str, messages: list[bytes], home: Path) -> float:
    table = home / "lines.tsv"
    with table.open("wb") as out:
        for message in messages:
            stamp = message.split(b" ", 2)[1]
            out.write(b"1\t%s\t%s\n" % (stamp, message[:-1].replace(b"\\", b"\\\\").replace(b"\t", b"\\t")))
    table.chmod(0o644)
    psql = str(installed_binaries() / "psql")
    subprocess.run(
        [
            psql,
            "-q",
            url,
            "-c",
            "drop table if exists rows; create table rows (app int, ts timestamptz, line text); "
            "create index on rows (app, ts)",
        ],
        check=True,
    )
    began = time.perf_counter()
    subprocess.run([psql, "-q", url, "-c", f"\\copy rows from '{table}'"], check=True)
    return time.perf_counter() - began


async def _check(url: str, *, expected: int) -> None:
    conn = await asyncpg.connect(url)
    kept = await conn.fetchval("select sum(lines) from chunks")
    await conn.close()
    if kept != expected:
        raise SystemExit(f"{kept} lines are stored; expected {expected}")


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:4]]
    for defaults in ALL[:1] if given else ALL:
        uvloop.run(main(*given, *defaults[len(given) :]))
