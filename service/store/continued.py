"""What later lines make of kept events: those of one chunk, by their place in it, to be set, added and forgotten."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import zstandard
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.event import Event
from service.store import arrivals
from service.store.evidence import read_event
from service.store.ids import new_id
from service.store.tables import chunks, events


class ChunkKey(NamedTuple):
    """A commit's chunk of an app."""

    received_at: datetime
    chunk_id: UUID


async def body(conn: AsyncConnection, app_id: int, key: ChunkKey) -> bytes:
    """The lines of a chunk that is pending, and so not merged yet; none where it is kept no longer."""
    row = (
        await conn.execute(
            select(chunks.c.body, chunks.c.size).where(
                chunks.c.app_id == app_id, chunks.c.received_at == key.received_at, chunks.c.id == key.chunk_id
            )
        )
    ).one_or_none()
    return zstandard.ZstdDecompressor().decompress(row.body, max_output_size=row.size) if row else b""


async def kept(
    conn: AsyncConnection, app_id: int, key: ChunkKey, kinds: Sequence[str], *, app: str, environment: str
) -> dict[tuple[str, int], Event]:
    """The events of the chunk that are of `kinds`, by kind and place."""
    found = await conn.execute(
        select(events).where(
            events.c.app_id == app_id,
            events.c.received_at == key.received_at,
            events.c.chunk_id == key.chunk_id,
            events.c.kind.in_(kinds),
        )
    )
    return {(row.kind, row.place): read_event(row, app=app, environment=environment) for row in found}


async def add(conn: AsyncConnection, app_id: int, key: ChunkKey, event: Event) -> Event:
    """Keeps an event of the chunk that was none before; gives it with its id."""
    event_id = new_id(key.received_at)
    event = replace(event, id=event_id, received_at=key.received_at)
    row = {
        "app_id": app_id,
        "received_at": key.received_at,
        "id": event_id,
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
        "chunk_id": key.chunk_id,
        "place": event.place,
    }
    await conn.execute(insert(events), row)
    await arrivals.announce(conn, app_id, [(event_id, key.received_at)])
    return event


async def amend(conn: AsyncConnection, app_id: int, key: ChunkKey, event: Event) -> None:
    """Sets what the event of that kind and place says, if it is kept."""
    await conn.execute(
        update(events)
        .where(
            events.c.app_id == app_id,
            events.c.received_at == key.received_at,
            events.c.chunk_id == key.chunk_id,
            events.c.kind == event.kind,
            events.c.place == event.place,
        )
        .values(message=event.message, fields=event.fields)
    )


async def remove(conn: AsyncConnection, app_id: int, key: ChunkKey, ids: Sequence[UUID]) -> None:
    """Forgets events of the chunk that turned out to be part of another."""
    await conn.execute(
        delete(events).where(
            events.c.app_id == app_id, events.c.received_at == key.received_at, events.c.id.in_(list(ids))
        )
    )
