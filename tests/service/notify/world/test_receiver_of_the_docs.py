"""The receiver in docs/webhooks.md runs, takes what drainwatch sends, and nothing else."""

import asyncio
import re
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from service.notify import endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from ..outbox import add, ledger, rounds, step

DOCS = Path(__file__).parents[4] / "docs" / "webhooks.md"


async def test_the_receiver_of_the_docs_takes_what_is_signed_once(
    db: Database, deliverer: Deliverer, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    added = await add(db, url)
    async with receiver(tmp_path, added.secret, port) as process:
        await step(db, "opened")
        await rounds(deliverer)
        [delivery] = await ledger(db, added.endpoint.id)
        await endpoints.redeliver(db, delivery.id)
        await deliverer.round()
        await step(db, "resolved", 2, status="resolved")
        await rounds(deliverer)
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            forged = await http.post(url, content=b"{}", headers={"webhook-id": "x"})
        assert process.stdout is not None
        printed = [await asyncio.wait_for(process.stdout.readline(), 60) for _ in range(2)]

    assert [line.decode().strip() for line in printed] == [
        "incident.opened web keeps crashing",
        "incident.resolved web keeps crashing",
    ]
    assert forged.status_code == 401
    statuses = [[one.status for one in delivery.attempts] for delivery in await ledger(db, added.endpoint.id)]
    assert statuses == [[204, 204], [204]]


@asynccontextmanager
async def receiver(folder: Path, secret: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The document's program, listening."""
    [program] = re.findall(r"```python\n(# receiver\.py.*?)```", DOCS.read_text(), re.DOTALL)
    (folder / "receiver.py").write_text(program)
    environment = {"SECRET": secret, "PORT": str(port), "PATH": ""}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(folder / "receiver.py"), env=environment, stdout=PIPE
    )
    try:
        async with asyncio.timeout(60):
            while not await listens(port):  # noqa: ASYNC110 - a port does not say when it opens
                await asyncio.sleep(0.02)
        yield process
    finally:
        process.kill()
        await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
