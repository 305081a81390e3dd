"""A word that occurs ten times in so many lines of one app, against `zstd -dc FILE | grep -c` over the same lines in one file;
and the latest 100 lines.

    PYTHONPATH=.:tests:tests/system:tests/bench LINES=20000000 python tests/bench/search.py [DIR [prepare]]

The design's figure is for 20 million lines, which take minutes to make: with a DIR they stay there and are made once, `prepare`
alone makes them.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import zstandard
from copied import copy_rows
from figures import Figure, record
from traffic import lines

from parsers.filters import parse_filter
from service.store import apps, chunks, schema
from service.store.chunks import Wanted
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.store.frames import CHUNK_COLUMNS
from service.store.ids import new_id

NEEDLE = "needle-4711-in-the-hay"
HITS = 10
CHUNK = 1000  # lines: half a second of a busy app
PAGES_OF = 200_000  # different lines; more would take longer to make than to search


async def main(number: int, kept: Path | None, *, prepare_only: bool) -> None:
    with contextlib.ExitStack() as stack:
        home = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(exist_ok=True)
        home.chmod(0o711)
        postgres = EmbeddedPostgres(home)
        url = await postgres.start()
        try:
            await schema.migrate(url)
            db = Database.open(url)
            made = home / f"{number}.size"
            if not made.exists():
                made.write_text(str(await fill(db, home / "lines.zst", number)))
            size = int(made.read_text())
            if prepare_only:
                return
            theirs, ours = [], []
            for _ in range(3):
                theirs.append(timed_grep(home / "lines.zst"))
                ours.append(await timed_search(db))
            latest = [await timed_latest(db) for _ in range(20)]
            await db.close()
        finally:
            await postgres.stop()
    grep, search = min(theirs), min(one for one, _ in ours)
    what = f"a word with {HITS} hits in {number:,} lines"
    here = f"{search:.2f} s, {size / search / 1e6:.0f} MB/s, {ours[0][1]} steps"
    against = f"zstd -dc | grep -c {grep:.2f} s, {size / grep / 1e6:.0f} MB/s"
    ratio = grep / search
    record(Figure(what, here, against, f"{ratio:.2f}", "1.0, at least 0.7", ratio >= 0.7))
    ms = median(latest) * 1000
    record(Figure(f"latest 100 of {number:,} lines", f"median {ms:.1f} ms", "", "", "under 50 ms", ms < 50))


async def fill(db: Database, file: Path, number: int) -> int:
    """Keeps the lines as chunks of an app, and in one file; gives their bytes."""
    async with db.begin() as conn:
        app = await apps.ensure(conn, name="shop", environment="production")
    conn = await db.asyncpg()
    at, size = datetime.now(UTC) - timedelta(milliseconds=number // CHUNK), 0
    with zstandard.ZstdCompressor(level=3).stream_writer(file.open("wb")) as written:
        rows = []
        for n, some in enumerate(pieces(number)):
            written.write(b"".join(some))
            body = b"".join(b"%d %s" % (len(one), one) for one in some)
            size += len(body)
            received_at = at + timedelta(milliseconds=n)
            packed = zstandard.ZstdCompressor(level=1).compress(body)
            processes = ["router", "web.1", "web.2", "web.3", "web.4"]
            rows.append((app.id, received_at, new_id(received_at), at, at, len(some), processes, len(body), packed))
            if len(rows) == 100:
                await copy_rows(conn, "chunks", CHUNK_COLUMNS, rows)
                rows = []
        await copy_rows(conn, "chunks", CHUNK_COLUMNS, rows)
    await conn.execute("vacuum analyze chunks")
    await conn.close()
    return size


def pieces(number: int) -> Iterator[list[bytes]]:
    """The lines, so many a chunk, with the needles far apart in them."""
    some = list(lines(min(number, PAGES_OF)))
    every = max(1, number // HITS)
    for begin in range(0, number, CHUNK):
        piece = [some[n % len(some)] for n in range(begin, min(number, begin + CHUNK))]
        for n in range(begin, begin + len(piece)):
            if n % every == every // 2:
                piece[n - begin] = piece[n - begin].rstrip(b"\n") + f" {NEEDLE}\n".encode()
        yield piece


def timed_grep(file: Path) -> float:
    began = time.perf_counter()
    found = subprocess.run(f"zstd -dc {file} | grep -c {NEEDLE}", shell=True, capture_output=True, check=True)
    took = time.perf_counter() - began
    assert int(found.stdout) == HITS, found
    return took


async def timed_search(db: Database) -> tuple[float, int]:
    began, steps, found, after = time.perf_counter(), 0, 0, None
    wanted = Wanted(app="shop", q=parse_filter(NEEDLE))
    while steps == 0 or after is not None:
        async with db.read() as conn:
            page = await chunks.latest(conn, wanted, after=after, limit=100)
        steps, found, after = steps + 1, found + len(page.items), page.next
    assert found == HITS, found
    return time.perf_counter() - began, steps


async def timed_latest(db: Database) -> float:
    began = time.perf_counter()
    async with db.read() as conn:
        page = await chunks.latest(conn, Wanted(app="shop"), after=None, limit=100)
    assert len(page.items) == 100
    return time.perf_counter() - began


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    asyncio.run(main(int(os.environ.get("LINES", 2_000_000)), folder, prepare_only="prepare" in sys.argv[2:]))
