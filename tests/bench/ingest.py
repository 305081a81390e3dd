"""Durable ingest of one web process, beside psql's `\\copy` of the same lines as rows with one index (app, ts).

Both write to the same server, one after the other, several times; the ratio of the medians is the figure. Run as
`python tests/bench/ingest.py [LINES_PER_BODY] [CONNECTIONS] [LINES]`.
"""

import asyncio
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
from traffic import bodies, lines

from service.ingest import drains
from service.store import schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.store.embedded_places import installed_binaries

ROUNDS = 3


async def main(per_body: int, connections: int, number: int) -> None:
    """Prints lines/s of either and their ratio."""
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
                posted, copied = [], []
                for at in range(ROUNDS):
                    copied.append(number / _copy(url, messages, home))
                    posted.append(number / await _post(bodies(messages, per_body), connections, drain.secret, at))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            await _check(url, expected=number * ROUNDS)
        finally:
            await postgres.stop()
    print(
        f"durable ingest, {per_body} lines a body, {connections} connections: {median(posted):,.0f} lines/s; "
        f"\\copy: {median(copied):,.0f} lines/s; ratio {median(posted) / median(copied):.2f}"
    )


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


async def _post(waiting: list[bytes], connections: int, secret: str, number: int) -> float:
    import base64

    authorization = base64.b64encode(f"bench-prod:{secret}".encode())
    head = (
        b"POST /drain HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic " + authorization + b"\r\n"
        b"Content-Type: application/logplex-1\r\nLogplex-Frame-Id: %b\r\nUser-Agent: Logplex/v72\r\nContent-Length: %d\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    done = [loop.create_future() for _ in range(connections)]
    for one in done:
        await loop.create_connection(lambda one=one: _Sender(waiting, head, str(number), one), "127.0.0.1", 8123)
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
    per_body, connections, number = [*given, *(100, 32, 100_000)[len(given) :]]
    uvloop.run(main(per_body, connections, number))
