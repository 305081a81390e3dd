"""The worker, assembled: what folds pending events into incidents, what tells of them, what keeps the house."""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex

from service.detect.rule_book import RuleBook
from service.errors import StoreAway
from service.incidents.watch import Watch
from service.log import log
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.store import partitions
from service.store.database import Database

# Partitions are made days ahead: an hour's delay costs nothing.
HOUSEKEEPING_SECONDS = 3600.0


async def work(
    db: Database, rules: RuleBook, flag_prefix: Callable[[str], str], stop: asyncio.Event, *, public_url: str
) -> None:
    """Runs everything a worker does until `stop` is set; any number of workers share the apps."""
    # Never the DYNO name: it returns with the next dyno, while this one may still be at work.
    holder = f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"
    async with WayOut() as way_out, asyncio.TaskGroup() as group:
        group.create_task(Watch(db, rules, flag_prefix, holder=holder).run(stop))
        group.create_task(Deliverer(db, way_out, public_url=public_url).run(stop))
        group.create_task(_keep_house(db, stop))


async def _keep_house(db: Database, stop: asyncio.Event) -> None:
    """Makes partitions ahead, now and every hour."""
    while not stop.is_set():
        try:
            async with db.begin() as conn:
                made = await partitions.ensure(conn, datetime.now(UTC))
            if made:
                log.info("partitions.made", names=",".join(made))
        except StoreAway as error:
            log.warning("partitions.away", reason=str(error))
        try:
            async with asyncio.timeout(HOUSEKEEPING_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
