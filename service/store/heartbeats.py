"""The heartbeat: an endpoint that the settings name, and one delivery to it for each minute."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import endpoints
from service.store.endpoints import HEARTBEAT

# What is older tells nobody anything; there are 1,440 of them a day.
_KEPT_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Beat:
    """One to make: `number` is its minute since 1970, `payload` its body."""

    id: UUID
    number: int
    payload: str = field(repr=False)
    at: datetime
    give_up_at: datetime


async def endpoint(conn: AsyncConnection, *, url: str, secret: str, allow_private: bool) -> int | None:
    """The heartbeat's endpoint, locked until the transaction ends, made where there is none (with `secret`) and led to `url`;
    None where another transaction holds it."""
    given = {"url": url, "secret": secret, "allow_private": allow_private}
    # Not tried each time: an insert that comes to nothing takes a number all the same.
    if not (await conn.execute(_IS_THERE)).scalar_one():
        await conn.execute(_MAKE, given)
    held = (await conn.execute(_HOLD)).scalar_one_or_none()
    if held is not None:
        await conn.execute(_LEAD, {"id": held, **given})
    return held


async def make(conn: AsyncConnection, endpoint_id: int, beat: Beat) -> bool:
    """Adds the minute's delivery to the (locked) endpoint, in place of those that were not delivered; False where it is there
    already. Those of more than a day ago are forgotten."""
    given = {"endpoint": endpoint_id, "number": beat.number, "at": beat.at}
    if (await conn.execute(_IS_MADE, given)).scalar_one():
        return False
    await conn.execute(_SUPERSEDE, given)
    await conn.execute(_FORGET, {"endpoint": endpoint_id, "before": beat.number - _KEPT_MINUTES})
    await conn.execute(_ADD, {**given, "id": beat.id, "payload": beat.payload, "give_up_at": beat.give_up_at})
    return True


async def end(conn: AsyncConnection) -> None:
    """Removes the endpoint, where there is one: the settings name none any more."""
    held = (await conn.execute(_HOLD)).scalar_one_or_none()
    if held is not None:
        await endpoints.remove(conn, held)


_MAKE = text(f"""
    insert into endpoints (url, secret, format, match, types, allow_private)
    values (:url, :secret, '{HEARTBEAT}', '', '{{}}', :allow_private)
    on conflict (format) where format = '{HEARTBEAT}' and removed_at is null do nothing""")  # noqa: S608

_IS_THERE = text(f"""
    select exists (select from endpoints where format = '{HEARTBEAT}' and removed_at is null)""")  # noqa: S608

_HOLD = text(f"""
    select id from endpoints where format = '{HEARTBEAT}' and removed_at is null
    for no key update skip locked""")  # noqa: S608

_LEAD = text("""
    update endpoints set url = :url, allow_private = :allow_private
    where id = :id and (url, allow_private) is distinct from (:url, :allow_private)""")

_IS_MADE = text("""
    select exists (
        select from deliveries where endpoint_id = :endpoint and incident_id is null and number >= :number)""")

_SUPERSEDE = text("""
    update deliveries set status = 'superseded', claimed_until = null
    where endpoint_id = :endpoint and status = 'pending' and (claimed_until is null or claimed_until <= :at)""")

_FORGET = text("""
    delete from deliveries
    where endpoint_id = :endpoint and incident_id is null and number < :before and status <> 'pending'""")

_ADD = text("""
    insert into deliveries (id, endpoint_id, number, type, status, payload, due_at, give_up_at)
    values (:id, :endpoint, :number, 'heartbeat', 'pending', :payload, :at, :give_up_at)""")
