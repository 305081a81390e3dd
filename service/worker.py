"""The worker, assembled: what folds events into incidents, what time makes of those, what tells of them, the house."""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from secrets import token_hex

from parsers.frame import Reading
from service.detect.rule_book import RuleBook
from service.housekeeping import keep_house
from service.incidents.timers import Timers
from service.incidents.watch import Watch
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.settings import NotifySettings, RetentionSettings
from service.store.database import Database


async def work(
    db: Database,
    rules: RuleBook,
    flag_prefix: Callable[[str], str],
    retention: RetentionSettings,
    stop: asyncio.Event,
    *,
    reading: Reading,
    public_url: str,
    notify: NotifySettings,
    ack_lapse: timedelta,
) -> None:
    """Runs everything a worker does until `stop` is set; any number of workers share the apps."""
    # Never the DYNO name: it returns with the next dyno, while this one may still be at work.
    holder = f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"
    async with WayOut() as way_out, asyncio.TaskGroup() as group:
        group.create_task(Watch(db, rules, flag_prefix, holder=holder, reading=reading).run(stop))
        deliverer = Deliverer(db, way_out, public_url=public_url, heartbeat_url=notify.heartbeat_url)
        group.create_task(deliverer.run(stop))
        group.create_task(Timers(db, ack_lapse=ack_lapse).run(stop))
        group.create_task(keep_house(db, retention, stop, holder=holder))
