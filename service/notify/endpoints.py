"""Endpoints: add, list, test, rotate, disable, enable, remove; and what became of what they were sent.

A secret is shown when it is made and never again, and the URL only as far as its host: what follows is often a secret too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from parsers.event import Severity
from service.errors import Refused
from service.notify.addresses import shown_url
from service.notify.backoff import GIVE_UP_AFTER
from service.notify.example import past_or_example
from service.notify.formats import FORMATS
from service.notify.new_endpoint import check_new, check_wishes
from service.notify.notification import TEST
from service.notify.signature import OVERLAP, new_secret
from service.store import claims, clocks, deliveries, transitions
from service.store import endpoints as store
from service.store.database import Database
from service.store.deliveries import Delivery
from service.store.endpoints import EndpointRow
from service.store.ids import new_id
from service.store.pages import Key, Page

_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as people see it. `url` shows its host, and `/…` for what follows; `match` is filter text ("" for all),
    `types` None for all, `min_severity` None for any; it is reminded each `repeat_s` seconds (None: never) and left alone in
    `quiet_hours` (`22:00-07:00 Europe/Berlin`); `disabled_reason` is None while it is enabled, `failing_since` is None unless
    every attempt since then has failed; a secret before the present one signs until `previous_until` (None: there is none)."""

    id: int
    url: str
    format: str
    match: str
    types: tuple[str, ...] | None
    allow_private: bool
    min_severity: Severity | None
    escalations: bool
    repeat_s: int | None
    quiet_hours: str | None
    disabled_reason: str | None
    failing_since: datetime | None
    previous_until: datetime | None
    created_at: datetime

    @property
    def enabled(self) -> bool:
        """Whether it is told of anything."""
        return self.disabled_reason is None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An endpoint and its signing secret (`whsec_…`), which is shown only now."""

    endpoint: Endpoint
    secret: str = field(repr=False)


async def add(
    db: Database,
    *,
    url: str,
    format: str = "standard",
    match: str = "",
    types: Sequence[str] | None = None,
    allow_private: bool = False,
    routing_key: str | None = None,
    min_severity: Severity | None = None,
    escalations: bool = True,
    repeat_s: int | None = None,
    quiet_hours: str | None = None,
) -> NewSecret:
    """A new endpoint, told of what comes about from now on. Raises Refused (400) for a value that cannot be."""
    check_new(
        url=url,
        format=format,
        match=match,
        types=types,
        allow_private=allow_private,
        routing_key=routing_key,
        repeat_s=repeat_s,
        quiet_hours=quiet_hours,
    )
    secret = new_secret()
    async with db.begin() as conn:
        added = await store.add(
            conn,
            url=url,
            secret=secret,
            format=format,
            match=match,
            types=types,
            allow_private=allow_private,
            routing_key=routing_key,
            min_severity=min_severity,
            escalations=escalations,
            repeat_s=repeat_s,
            quiet_hours=quiet_hours,
        )
    return NewSecret(_endpoint(added), secret)


async def listed(db: Database) -> list[Endpoint]:
    """All endpoints that were not removed, oldest first."""
    async with db.read() as conn:
        return [_endpoint(row) for row in await store.listed(conn)]


async def one(db: Database, endpoint_id: int) -> Endpoint:
    """That endpoint. Raises Refused (404) where there is none."""
    async with db.read() as conn:
        return _endpoint(_found(await store.one(conn, endpoint_id), endpoint_id))


async def test(db: Database, endpoint_id: int, *, public_url: str) -> Delivery:
    """Queues an incident of the past (a made-up one where there is none) for the endpoint, marked as a test, through the same
    format and the same client as all others.

    Raises Refused: 404 where there is no such endpoint, 409 where it is disabled.
    """
    async with db.begin() as conn:
        row = _changeable(await store.one(conn, endpoint_id), endpoint_id)
        if row.disabled_reason is not None:
            raise Refused(
                409, f"webhook {endpoint_id} is disabled ({row.disabled_reason}); enable it first, then test it"
            )
        now = await clocks.now(conn)
        id = new_id()
        notification = await past_or_example(conn, row, public_url=public_url, now=now)
        await deliveries.enqueue(
            conn,
            id=id,
            endpoint_id=endpoint_id,
            type=TEST,
            payload=FORMATS[row.format](notification),
            now=now,
            give_up_at=now + GIVE_UP_AFTER,
        )
        await transitions.wake(conn)
        return _found_delivery(await deliveries.one(conn, id), id)


async def rotate(db: Database, endpoint_id: int) -> NewSecret:
    """The endpoint with a new secret; the one before signs beside it for 24 h more. Raises Refused (404) where there is no
    such endpoint."""
    secret = new_secret()
    async with db.begin() as conn:
        _changeable(await store.one(conn, endpoint_id), endpoint_id)
        until = await clocks.now(conn) + OVERLAP
        await store.replace_secret(conn, endpoint_id, secret=secret, previous_until=until)
        return NewSecret(_endpoint(_found(await store.one(conn, endpoint_id), endpoint_id)), secret)


async def change(db: Database, endpoint_id: int, wishes: Mapping[str, Any]) -> Endpoint:
    """The endpoint, which from now on wants what `wishes` say: some of `match`, `types`, `min_severity`, `escalations`,
    `repeat_s` and `quiet_hours`. Raises Refused: 404 where there is no such endpoint, 400 for a value that cannot be."""
    check_wishes(**{name: wishes[name] for name in ("match", "types", "repeat_s", "quiet_hours") if name in wishes})
    async with db.begin() as conn:
        _changeable(await store.one(conn, endpoint_id), endpoint_id)
        if wishes:
            await store.change(conn, endpoint_id, wishes)
        if "quiet_hours" in wishes:
            await claims.let_go(conn, endpoint_id, now=await clocks.now(conn))
            await transitions.wake(conn)
        return _endpoint(_found(await store.one(conn, endpoint_id), endpoint_id))


async def disable(db: Database, endpoint_id: int, *, reason: str = "disabled by hand") -> Endpoint:
    """The endpoint, told of nothing any more until it is enabled; what was still owed to it is dead. One that is disabled
    keeps its reason. Raises Refused (404) where there is no such endpoint."""
    async with db.begin() as conn:
        _changeable(await store.one(conn, endpoint_id), endpoint_id)
        await store.disable(conn, endpoint_id, reason=reason[:_REASON_LENGTH])
        return _endpoint(_found(await store.one(conn, endpoint_id), endpoint_id))


async def enable(db: Database, endpoint_id: int) -> Endpoint:
    """The endpoint, told again of what comes about from now on. Raises Refused (404) where there is no such endpoint."""
    async with db.begin() as conn:
        _changeable(await store.one(conn, endpoint_id), endpoint_id)
        await store.enable(conn, endpoint_id)
        return _endpoint(_found(await store.one(conn, endpoint_id), endpoint_id))


async def remove(db: Database, endpoint_id: int) -> None:
    """Nothing is sent there any more, and its URL and secrets are forgotten. Raises Refused (404) where there is no such
    endpoint."""
    async with db.begin() as conn:
        _changeable(await store.one(conn, endpoint_id), endpoint_id)
        await store.remove(conn, endpoint_id)


async def deliveries_of(
    db: Database, endpoint_id: int, *, limit: int = 100, after: Key | None = None
) -> Page[Delivery]:
    """A page of what the endpoint was sent or is owed, newest first, with every attempt. Raises Refused (404) where there is no
    such endpoint."""
    async with db.read() as conn:
        _found(await store.one(conn, endpoint_id), endpoint_id)
        return await deliveries.of_endpoint(conn, endpoint_id, limit=limit, after=after)


async def redeliver(db: Database, delivery_id: UUID) -> Delivery:
    """The delivery, queued once more under the same webhook-id, for 24 h from now.

    Raises Refused: 404 where there is no such delivery, 409 where it is on its way already, was superseded, or its endpoint is
    disabled or removed.
    """
    async with db.begin() as conn:
        before = _found_delivery(await deliveries.one(conn, delivery_id), delivery_id)
        row = await store.one(conn, before.endpoint_id)
        if row is None or row.disabled_reason is not None:
            state = "removed" if row is None else f"disabled ({row.disabled_reason})"
            raise Refused(
                409, f"webhook {before.endpoint_id} is {state}; a delivery can be sent again to one that is enabled"
            )
        now = await clocks.now(conn)
        if not await deliveries.send_again(conn, delivery_id, now=now, give_up_at=now + GIVE_UP_AFTER):
            raise Refused(
                409,
                f"delivery {delivery_id} is {before.status}; expected one that is delivered or dead, to send it again",
            )
        await transitions.wake(conn)
        return _found_delivery(await deliveries.one(conn, delivery_id), delivery_id)


def _changeable(row: EndpointRow | None, endpoint_id: int) -> EndpointRow:
    found = _found(row, endpoint_id)
    if found.format == store.HEARTBEAT:
        raise Refused(
            409,
            f"webhook {endpoint_id} is the heartbeat; expected another one: DRAINWATCH_HEARTBEAT_URL says where it goes",
        )
    return found


def _found(row: EndpointRow | None, endpoint_id: int) -> EndpointRow:
    if row is None:
        raise Refused(404, f"there is no webhook {endpoint_id}, or none any more")
    return row


def _found_delivery(delivery: Delivery | None, delivery_id: UUID) -> Delivery:
    if delivery is None:
        raise Refused(404, f"there is no delivery {delivery_id}")
    return delivery


def _endpoint(row: EndpointRow) -> Endpoint:
    return Endpoint(
        id=row.id,
        url=shown_url(row.url),
        format=row.format,
        match=row.match,
        types=row.types,
        allow_private=row.allow_private,
        min_severity=row.min_severity,
        escalations=row.escalations,
        repeat_s=row.repeat_s,
        quiet_hours=row.quiet_hours,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        previous_until=row.previous_until if row.previous_secret is not None else None,
        created_at=row.created_at,
    )
