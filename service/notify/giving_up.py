"""An endpoint that drainwatch itself gives up, and that the others are told of: what goes nowhere any more must not go
unnoticed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.log import log
from service.notify.addresses import shown_url
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.formats import FORMATS
from service.notify.notification import DISABLED, Notification
from service.notify.routes import decide
from service.store import deliveries, endpoints, transitions
from service.store.ids import new_id
from service.wire.instant import instant


async def give_up(conn: AsyncConnection, endpoint_id: int, *, reason: str, public_url: str, now: datetime) -> None:
    """Disables the endpoint with that reason, ends what is owed to it, and tells every other endpoint that takes such news. One
    that is disabled already stays as it is, and is told of once."""
    if not await endpoints.disable(conn, endpoint_id, reason=reason):
        return
    log.warning("webhook.disabled", endpoint=endpoint_id, reason=reason)
    row = await endpoints.one(conn, endpoint_id)
    if row is None:
        return
    webhook = {
        "id": row.id,
        "url": shown_url(row.url),
        "format": row.format,
        "disabled_reason": reason,
        "failing_since": instant(row.failing_since) if row.failing_since else None,
    }
    notification = Notification(DISABLED, now, None, f"{public_url}/v1/webhooks/{row.id}", webhook=webhook)
    # Without locks on the others: two that are given up at once would wait for each other.
    for other in await endpoints.listed(conn):
        enabled = other.disabled_reason is None and other.format != endpoints.HEARTBEAT
        if enabled and decide(other, notification, told=False).tell:
            await deliveries.enqueue(
                conn,
                id=new_id(),
                endpoint_id=other.id,
                type=DISABLED,
                payload=FORMATS[other.format](notification),
                now=now,
                give_up_at=now + GIVE_UP_AFTER,
            )
    await transitions.wake(conn)
