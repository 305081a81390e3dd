"""Events that drainwatch makes itself (a minute of traffic, a drain heard): no line and no chunk stands behind them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from service.store import arrivals
from service.store.tables import events

_NO_CHUNK = UUID(int=0)


async def add(conn: AsyncConnection, app_id: int, made: Sequence[Event]) -> None:
    """Keeps new events, which have their ids already."""
    if made:
        await conn.execute(insert(events), [_row(app_id, event) for event in made])
        await arrivals.announce(conn, app_id, [(event.id, event.received_at) for event in made if event.id])


async def amend(conn: AsyncConnection, app_id: int, event: Event) -> None:
    """Sets what a kept event says; changes nothing where it is kept no more."""
    await conn.execute(
        update(events)
        .where(events.c.app_id == app_id, events.c.received_at == event.received_at, events.c.id == event.id)
        .values(message=event.message, fields=event.fields)
    )


def _row(app_id: int, event: Event) -> dict[str, object]:
    return {
        "app_id": app_id,
        "received_at": event.received_at,
        "id": event.id,
        "ts": event.ts,
        "kind": event.kind,
        "code": event.code,
        "severity": int(event.severity),
        "source": event.source,
        "process": event.process,
        "dyno": event.dyno,
        "message": event.message,
        "fields": event.fields,
        "flags": list(event.flags),
        "chunk_id": _NO_CHUNK,
        "place": 0,
    }
