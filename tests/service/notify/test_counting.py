"""Attempts and transitions are counted as they come out."""

from counting import Gained
from receiver import Receiver, answer
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import add, after, rounds, step


async def test_each_attempt_is_counted_by_its_outcome_with_its_time(db: Database, deliverer: Deliverer) -> None:
    outcomes = [Gained("delivery_attempts_total", outcome=outcome) for outcome in ("delivered", "failed", "dead")]
    times = Gained("delivery_attempt_seconds_count")
    async with Receiver([answer(500), answer(204), answer(410)]) as receiver:
        await add(db, receiver.url)
        await step(db, "opened")
        await rounds(deliverer)
        await rounds(deliverer, at=after(5))
        await step(db, "resolved", 2, at=after(5))
        await rounds(deliverer, at=after(6))

    assert [one() for one in outcomes] == [[1], [1], [1]]
    assert times() == [3]


async def test_each_step_of_an_incident_is_counted_once_by_its_rule(db: Database, deliverer: Deliverer) -> None:
    steps = [Gained("transitions_total", rule="crash_loop", step=name) for name in ("opened", "resolved")]
    await step(db, "opened")
    await step(db, "opened", of=2)
    await rounds(deliverer)
    await step(db, "resolved", 2)
    await rounds(deliverer)
    await rounds(deliverer)

    assert [one() for one in steps] == [[2], [1]]
