"""Claim, POST, record: the loop that carries deliveries out.

A delivery is claimed and committed, then sent, then recorded: no transaction is open over HTTP. Whoever dies in between is
followed when the claim lapses, and the repeat carries the same webhook-id. How much is under way at an endpoint is bounded,
so one that answers slowly takes its own places and nobody else's.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.errors import StoreAway
from service.log import log
from service.notify import apprise_way
from service.notify.backoff import next_try, read_retry_after
from service.notify.connect import Answer, WayOut
from service.notify.fan_out import fan_out
from service.notify.formats import FORMATS
from service.notify.formats.pagerduty import with_routing_key
from service.notify.giving_up import give_up
from service.notify.heartbeat import Heartbeat
from service.notify.masking import masked, secrets_of
from service.notify.notification import RESOLVED, Notification, incident_url, late
from service.notify.quiet import quiet_until
from service.notify.reminders import remind
from service.notify.signature import live_secrets, signature_headers
from service.store import claims, clocks, endpoints, reminders
from service.store.claims import Claim, Overtaken
from service.store.database import Database
from service.store.deliveries import Attempt
from service.store.wakeups import DELIVERIES, listen

# A notification of the database that is lost costs this at most; it is also how exactly a back-off is kept.
POLL_SECONDS = 1.0
ATTEMPT_SECONDS = 10.0
PER_ENDPOINT = 4
# In this process, over all endpoints: 64 that hang cannot fill it up with their four places each.
MOST_UNDER_WAY = 256
# Longer than an attempt and the record of it, so that a claim lapses only for who is dead or has lost the database.
_CLAIM_LASTS = timedelta(seconds=30)
# For a database that is away; with an attempt's time, what a stop may have to wait for.
_RECORD_SECONDS = 6.0
_AWAY_SECONDS = 0.5
_GONE = 410
# An endpoint that has answered nothing but failures for this long is told nothing any more.
FAILS_AT_MOST = timedelta(days=5)
# How often it is looked whether a reminder is due; a worker more looks once more.
_REMIND_EVERY = 10.0


class Deliverer:
    """Fans transitions out and delivers, until it is stopped. Any number of them share the work.

    `way_out` belongs to the caller; `heartbeat_url` is called each minute; `chance` gives numbers from 0 up to 1, for the
    jitter.
    """

    def __init__(
        self,
        db: Database,
        way_out: WayOut,
        *,
        public_url: str,
        chance: Callable[[], float] = random.random,
        heartbeat_url: str | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._db = db
        self._way_out = way_out
        self._public_url = public_url
        self._heartbeat = Heartbeat(heartbeat_url)
        self._chance = chance
        self._attempt_seconds = attempt_seconds
        self._poll_seconds = poll_seconds
        self._under_way = 0
        self._remind_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; what is under way then is finished, which an attempt's time limit bounds. A database that is
        away is waited for."""
        async with listen(self._db, DELIVERIES) as woken, asyncio.TaskGroup() as sending:
            ended = sending.create_task(_set_after(stop, woken))

            async def carry_out(claimed: Claim) -> None:
                try:
                    await self._carry_out(claimed, now=None)
                finally:
                    self._under_way -= 1
                    # A place is free, or the next of an incident may go.
                    woken.set()

            while not stop.is_set():
                woken.clear()
                try:
                    for claimed in await self._turn(now=None):
                        self._under_way += 1
                        sending.create_task(carry_out(claimed))
                except StoreAway as error:
                    log.warning("deliver.away", reason=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await woken.wait()
            ended.cancel()

    async def round(self, *, now: datetime | None = None) -> int:
        """Fans out, claims what is due at `now` (the database's clock unless given), sends and records it; how many attempts
        that were."""
        claimed = await self._turn(now=now)
        async with asyncio.TaskGroup() as sending:
            for one in claimed:
                sending.create_task(self._carry_out(one, now=now))
        return len(claimed)

    async def _turn(self, *, now: datetime | None) -> list[Claim]:
        steps = 1
        while steps:
            async with self._db.begin() as conn:
                steps = await fan_out(conn, public_url=self._public_url, now=now or await clocks.now(conn))
        await self._make_reminders(now=now)
        await self._beat(now=now)
        async with self._db.begin() as conn:
            at = now or await clocks.now(conn)
            due = await claims.due_endpoints(conn, now=at)
            if not due:
                return []
            await reminders.lapse(conn, due, now=at)
            for endpoint_id, quiet_hours in due.items():
                if until := quiet_until(quiet_hours, at):
                    await claims.hold_back(conn, endpoint_id, now=at, until=until)
            await claims.supersede_come_back(conn, due, now=at)
            for resolution in await claims.overtaken(conn, due, now=at):
                await claims.supersede(conn, resolution, payload=self._as_both(resolution, now=at))
            return await claims.claim(
                conn,
                due,
                now=at,
                limit=MOST_UNDER_WAY - self._under_way,
                per_endpoint=PER_ENDPOINT,
                lasts=_CLAIM_LASTS,
            )

    async def _make_reminders(self, *, now: datetime | None) -> None:
        if now is None and time.monotonic() < self._remind_at:
            return
        self._remind_at = time.monotonic() + _REMIND_EVERY
        # A transaction of its own: it locks endpoints, and those that are locked are not claimed for.
        async with self._db.begin() as conn:
            await remind(conn, public_url=self._public_url, now=now or await clocks.now(conn))

    async def _beat(self, *, now: datetime | None) -> None:
        if not self._heartbeat.is_done(now or datetime.now(UTC)):
            async with self._db.begin() as conn:
                await self._heartbeat.beat(conn, now=now or await clocks.now(conn))

    def _as_both(self, resolution: Overtaken, *, now: datetime) -> str:
        """The payload of a resolution that tells the opening too, which was to be told when it came about."""
        incident = late(resolution.incident, since=resolution.since, now=now)
        notification = Notification(RESOLVED, resolution.at, incident, incident_url(self._public_url, incident))
        return FORMATS[resolution.format](notification)

    async def _carry_out(self, claimed: Claim, *, now: datetime | None) -> None:
        answer = await self._send(claimed)
        give_up_at = time.monotonic() + _RECORD_SECONDS
        while True:
            try:
                return await self._record(claimed, answer, now=now)
            except StoreAway as error:
                if time.monotonic() > give_up_at:
                    # The claim lapses, and it is sent once more with the same id.
                    log.warning(
                        "delivery.unrecorded", delivery=str(claimed.id), status=answer.status, reason=str(error)
                    )
                    return None
            await asyncio.sleep(_AWAY_SECONDS)

    async def _send(self, claimed: Claim) -> Answer:
        if claimed.format == "apprise" and apprise_way.is_own_url(claimed.url):
            return await apprise_way.send(claimed.url, claimed.payload, seconds=self._attempt_seconds)
        payload = claimed.payload
        if claimed.routing_key is not None:
            payload = with_routing_key(payload, claimed.routing_key)
        body = payload.encode()
        secrets = live_secrets(claimed.secret, claimed.previous_secret, claimed.previous_until, claimed.at)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "drainwatch",
            **signature_headers(str(claimed.id), body, secrets=secrets, at=datetime.now(UTC)),
        }
        return await self._way_out.post(
            claimed.url, body, headers, allow_private=claimed.allow_private, seconds=self._attempt_seconds
        )

    async def _record(self, claimed: Claim, answer: Answer, *, now: datetime | None) -> None:
        attempt = Attempt(
            at=claimed.at,
            status=answer.status,
            ms=answer.ms,
            error=_error(answer),
            answer=_shown_answer(answer, claimed),
        )
        async with self._db.begin() as conn:
            # The endpoint first, then the delivery: whoever claims locks them in this order.
            if _is_success(answer):
                await endpoints.note_success(conn, claimed.endpoint_id)
                await claims.record_success(conn, claimed, attempt)
                outcome = "delivered"
            else:
                due_at = await self._after_failure(conn, claimed, answer, at=now or await clocks.now(conn))
                await claims.record_failure(conn, claimed, attempt, due_at=due_at)
                outcome = "dead" if due_at is None else "failed"
        metrics.ATTEMPTS.labels(outcome).inc()
        metrics.ATTEMPT_SECONDS.observe(answer.ms / 1000)
        log.info(
            f"delivery.{outcome}",
            delivery=str(claimed.id),
            endpoint=claimed.endpoint_id,
            type=claimed.type,
            status=answer.status,
            error=attempt.error,
            ms=answer.ms,
        )

    async def _after_failure(
        self, conn: AsyncConnection, claimed: Claim, answer: Answer, *, at: datetime
    ) -> datetime | None:
        """When to try again, or None: never. An endpoint that will not have it any more is given up."""
        failing_since = await endpoints.note_failure(conn, claimed.endpoint_id, at=claimed.at)
        beats = claimed.format == endpoints.HEARTBEAT  # never given up: an alarm hangs on it
        if answer.status == _GONE and not beats:
            reason = "the receiver answered 410 (Gone)"
        elif at - failing_since >= FAILS_AT_MOST and not beats:
            reason = f"every attempt has failed for {FAILS_AT_MOST.days} days; the last one: {_in_short(answer)}"
        else:
            return next_try(
                at,
                failures=claimed.failures + 1,
                give_up_at=claimed.give_up_at,
                retry_after=read_retry_after(answer.retry_after, at),
                chance=self._chance(),
            )
        await give_up(conn, claimed.endpoint_id, reason=reason, public_url=self._public_url, now=at)
        return None


def _in_short(answer: Answer) -> str:
    return f"status {answer.status}" if answer.status is not None else str(answer.error)


def _shown_answer(answer: Answer, claimed: Claim) -> str | None:
    secrets = secrets_of(claimed.url, claimed.secret, claimed.previous_secret, claimed.routing_key)
    return masked(answer.text, secrets) if answer.text else None


def _is_success(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def _error(answer: Answer) -> str | None:
    if answer.status is not None and 300 <= answer.status < 400:
        return "answered with a redirect, which is not followed; give the endpoint the URL that it leads to"
    return answer.error


async def _set_after(stop: asyncio.Event, woken: asyncio.Event) -> None:
    await stop.wait()
    woken.set()
