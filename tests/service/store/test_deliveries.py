"""What the ledger of deliveries keeps and who may claim what, without any HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.store import claims, deliveries, endpoints
from service.store.claims import Claim
from service.store.database import Database
from service.store.deliveries import Attempt
from service.store.ids import new_id

NOON = datetime(2026, 5, 11, 12, tzinfo=UTC)
LASTS = timedelta(seconds=30)
INCIDENT = UUID(int=1)


@pytest.fixture
async def endpoint_id(db: Database) -> int:
    return await add_endpoint(db)


async def add_endpoint(db: Database) -> int:
    async with db.begin() as conn:
        row = await endpoints.add(
            conn,
            url="https://hooks.example.com/",
            secret="whsec_AAAA",
            format="standard",
            match="",
            types=None,
            allow_private=False,
        )
    return row.id


async def queue(
    db: Database, endpoint_id: int, *, incident: UUID | None = None, number: int | None = None, at: datetime = NOON
) -> UUID:
    id = new_id()
    async with db.begin() as conn:
        await deliveries.enqueue(
            conn,
            id=id,
            endpoint_id=endpoint_id,
            type="incident.opened",
            payload='{"b":1,"a":"\\u0000"}',
            now=at,
            give_up_at=at + timedelta(hours=24),
            app_id=None if incident is None else 1,
            incident_id=incident,
            number=number,
        )
    return id


async def claim(db: Database, *, at: datetime = NOON, limit: int = 100, per_endpoint: int = 4) -> list[Claim]:
    async with db.begin() as conn:
        due = await claims.due_endpoints(conn, now=at)
        return await claims.claim(conn, due, now=at, limit=limit, per_endpoint=per_endpoint, lasts=LASTS)


def attempt(status: int | None = 500) -> Attempt:
    return Attempt(at=NOON, status=status, ms=3, error=None, answer="oops")


async def test_overdue_is_what_could_have_been_sent_a_minute_ago(db: Database, endpoint_id: int) -> None:
    now = datetime.now(UTC)
    late, slow = now - timedelta(seconds=70), await add_endpoint(db)

    async def overdue() -> int:
        async with db.read() as conn:
            return await deliveries.overdue(conn, per_endpoint=4)

    await queue(db, endpoint_id, at=now - timedelta(seconds=50))
    await queue(db, endpoint_id, incident=INCIDENT, number=1, at=now)  # as after a failure
    await queue(db, endpoint_id, incident=INCIDENT, number=2, at=late)
    for _ in range(5):
        await queue(db, slow, at=late)
    async with db.begin() as conn:
        await claims.claim(conn, [slow], now=now, limit=9, per_endpoint=4, lasts=LASTS)
    assert await overdue() == 0

    await queue(db, endpoint_id, at=late)
    assert await overdue() == 1


async def test_a_claim_has_the_payload_to_the_byte(db: Database, endpoint_id: int) -> None:
    id = await queue(db, endpoint_id)

    [claimed] = await claim(db)

    assert (claimed.id, claimed.payload, claimed.failures) == (id, '{"b":1,"a":"\\u0000"}', 0)
    assert (claimed.at, claimed.until) == (NOON, NOON + LASTS)


async def test_a_step_is_owed_to_an_endpoint_once(db: Database, endpoint_id: int) -> None:
    await queue(db, endpoint_id, incident=INCIDENT, number=1)
    await queue(db, endpoint_id, incident=INCIDENT, number=1)

    assert len(await claim(db)) == 1


async def test_what_is_claimed_is_nobody_else_s_until_the_claim_lapses(db: Database, endpoint_id: int) -> None:
    await queue(db, endpoint_id)

    assert len(await claim(db)) == 1
    assert await claim(db, at=NOON + LASTS - timedelta(seconds=1)) == []
    assert len(await claim(db, at=NOON + LASTS)) == 1


async def test_what_is_not_due_yet_is_not_claimed(db: Database, endpoint_id: int) -> None:
    await queue(db, endpoint_id, at=NOON + timedelta(seconds=1))

    assert await claim(db) == []


async def test_an_endpoint_has_as_many_under_way_as_it_may_and_others_theirs(db: Database, endpoint_id: int) -> None:
    other = await add_endpoint(db)
    for _ in range(6):
        await queue(db, endpoint_id)
        await queue(db, other)

    first, second = await claim(db), await claim(db)

    assert sorted(one.endpoint_id for one in first) == [endpoint_id] * 4 + [other] * 4
    assert second == []


async def test_no_more_are_claimed_than_asked_for_and_the_longest_due_come_first(
    db: Database, endpoint_id: int
) -> None:
    late = await queue(db, endpoint_id, at=NOON)
    later = await queue(db, endpoint_id, at=NOON - timedelta(minutes=1))

    [first] = await claim(db, limit=1)
    [second] = await claim(db, limit=1)

    assert (first.id, second.id) == (later, late)


async def test_of_one_incident_only_the_first_that_is_owed_is_claimed(db: Database, endpoint_id: int) -> None:
    second = await queue(db, endpoint_id, incident=INCIDENT, number=2)
    first = await queue(db, endpoint_id, incident=INCIDENT, number=1)
    other = await queue(db, endpoint_id, incident=UUID(int=2), number=5)

    claimed = await claim(db)
    assert {one.id for one in claimed} == {first, other}
    async with db.begin() as conn:
        for one in claimed:
            await claims.record_success(conn, one, attempt(204))
    assert [one.id for one in await claim(db)] == [second]


async def test_an_endpoint_that_another_worker_is_claiming_for_is_left_to_it(db: Database, endpoint_id: int) -> None:
    await queue(db, endpoint_id)
    async with db.begin() as conn:
        assert list(await claims.due_endpoints(conn, now=NOON)) == [endpoint_id]
        assert await claim(db) == []


async def test_a_failure_is_due_again_and_counted(db: Database, endpoint_id: int) -> None:
    await queue(db, endpoint_id)
    [claimed] = await claim(db)
    async with db.begin() as conn:
        await claims.record_failure(conn, claimed, attempt(), due_at=NOON + timedelta(seconds=5))

    assert await claim(db) == []
    [again] = await claim(db, at=NOON + timedelta(seconds=5))
    assert again.failures == 1


async def test_a_failure_for_good_is_dead(db: Database, endpoint_id: int) -> None:
    id = await queue(db, endpoint_id)
    [claimed] = await claim(db)
    async with db.begin() as conn:
        await claims.record_failure(conn, claimed, attempt(), due_at=None)
        found = await deliveries.one(conn, id)

    assert found is not None
    assert (found.status, found.attempts) == ("dead", (attempt(),))


async def test_a_failure_recorded_after_the_claim_lapsed_changes_nothing_for_who_holds_it_now(
    db: Database, endpoint_id: int
) -> None:
    await queue(db, endpoint_id)
    [first] = await claim(db)
    [second] = await claim(db, at=NOON + LASTS)
    async with db.begin() as conn:
        await claims.record_failure(conn, first, attempt(), due_at=NOON)

    assert await claim(db, at=NOON + LASTS) == []
    async with db.begin() as conn:
        await claims.record_failure(conn, second, attempt(), due_at=NOON + LASTS)
    [third] = await claim(db, at=NOON + LASTS)
    assert third.failures == 1


async def test_a_success_counts_though_its_claim_has_lapsed(db: Database, endpoint_id: int) -> None:
    id = await queue(db, endpoint_id)
    [first] = await claim(db)
    await claim(db, at=NOON + LASTS)
    async with db.begin() as conn:
        await claims.record_success(conn, first, attempt(204))
        found = await deliveries.one(conn, id)

    assert found is not None
    assert found.status == "delivered"


async def test_every_attempt_is_kept_in_order(db: Database, endpoint_id: int) -> None:
    id = await queue(db, endpoint_id)
    for status in (500, None, 204):
        [claimed] = await claim(db)
        async with db.begin() as conn:
            if status == 204:
                await claims.record_success(conn, claimed, attempt(status))
            else:
                await claims.record_failure(conn, claimed, attempt(status), due_at=NOON)

    async with db.read() as conn:
        found = await deliveries.one(conn, id)
    assert found is not None
    assert [one.status for one in found.attempts] == [500, None, 204]


async def test_disabling_and_removing_end_what_is_owed(db: Database, endpoint_id: int) -> None:
    removed = await add_endpoint(db)
    ids = [await queue(db, endpoint_id), await queue(db, removed)]
    async with db.begin() as conn:
        await endpoints.disable(conn, endpoint_id, reason="for a reason")
        await endpoints.remove(conn, removed)
        found = [await deliveries.one(conn, id) for id in ids]

    assert [one.status for one in found if one] == ["dead", "dead"]


async def test_what_is_sent_again_begins_its_back_off_anew(db: Database, endpoint_id: int) -> None:
    id = await queue(db, endpoint_id)
    [claimed] = await claim(db)
    later = NOON + timedelta(days=3)
    async with db.begin() as conn:
        await claims.record_failure(conn, claimed, attempt(), due_at=None)
        assert await deliveries.send_again(conn, id, now=later, give_up_at=later + timedelta(hours=24))
        assert not await deliveries.send_again(conn, id, now=later, give_up_at=later)

    [again] = await claim(db, at=later)
    assert (again.id, again.failures, again.give_up_at) == (id, 0, later + timedelta(hours=24))
