"""A worker that delivers, as a process that a test kills: `dying.py DATABASE_URL [claimed]`. With `claimed` it never gets
further than its claims: names are never resolved."""

import asyncio
import sys

from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.store.database import Database


async def never(host: str) -> list[str]:
    """Claimed, committed, and not sent."""
    print("claimed", flush=True)
    await asyncio.Event().wait()
    return []


async def main(url: str, *, claims_alone: bool) -> None:
    """Delivers until it is killed."""
    db = Database.open(url)
    async with WayOut(resolve=never if claims_alone else None) as way_out:
        await Deliverer(db, way_out, public_url="https://drainwatch.example.com").run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], claims_alone="claimed" in sys.argv))
