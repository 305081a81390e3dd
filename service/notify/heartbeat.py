"""The heartbeat: a URL that is called each minute through the outbox, for an alarm outside that goes off when it stops.

That it arrives proves database, worker and network at once; nothing else of drainwatch can tell that drainwatch is dead.
"""

import json
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Refused
from service.notify.addresses import check_url
from service.notify.signature import new_secret
from service.store import heartbeats
from service.store.heartbeats import Beat
from service.store.ids import new_id
from service.wire.instant import instant

_MINUTE = 60


class Heartbeat:
    """Makes one delivery each minute, however many workers have one of these; `url` None: there is to be none."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._done: int | None = None

    def is_done(self, now: datetime) -> bool:
        """Whether this process knows that nothing is left to do in this minute: so it need not ask."""
        return self._done is not None and (self._url is None or self._done >= _minute(now))

    async def beat(self, conn: AsyncConnection, *, now: datetime) -> bool:
        """Makes the minute's delivery, where nobody has; whether it did. In the transaction of `conn`."""
        number, made = _minute(now), False
        if self._url is None:
            await heartbeats.end(conn)
        else:
            private = is_plainly_private(self._url)
            endpoint_id = await heartbeats.endpoint(conn, url=self._url, secret=new_secret(), allow_private=private)
            if endpoint_id is None:  # another worker is at it; whether it gets there is seen at the next turn
                return False
            made = await heartbeats.make(conn, endpoint_id, _beat(number, now))
        self._done = number
        return made


def is_plainly_private(url: str) -> bool:
    """Whether the URL says itself that it leads to a private address. Whoever writes that into the settings means it; a name
    that only turns out to lead to one is refused, like an endpoint's."""
    try:
        check_url(url, allow_private=False)
    except Refused:
        return True
    return False


def _beat(number: int, now: datetime) -> Beat:
    body = {"type": "heartbeat", "timestamp": instant(now), "data": {}}
    payload = json.dumps(body, separators=(",", ":"))
    return Beat(new_id(), number, payload, now, now + timedelta(minutes=10))


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // _MINUTE
