"""What `asyncio.timeout` does, with one timer for all."""

import asyncio

import pytest

from service.ingest.hold import Hold


async def held(hold: Hold, seconds: float) -> float:
    """Sleeps, held; how long that took."""
    held = hold.begin()
    with held:
        await asyncio.sleep(seconds)
    return held.loop.time() - held.began


async def test_each_is_given_up_at_its_own_end() -> None:
    hold = Hold(0.1)
    loop = asyncio.get_running_loop()

    async def ended() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await held(hold, 10)
        return loop.time() - began

    tasks = []
    for _ in range(4):
        tasks.append(asyncio.create_task(ended()))
        await asyncio.sleep(0.03)
    assert all(0.09 < took < 0.5 for took in await asyncio.gather(*tasks))


async def test_who_is_done_in_time_notices_nothing_and_leaves_nothing_behind() -> None:
    hold = Hold(0.05)
    assert await asyncio.gather(*(held(hold, 0.01) for _ in range(3)))
    await asyncio.sleep(0.1)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    with pytest.raises(TimeoutError):  # the timer has rung for nobody, and is set again
        await held(hold, 10)


async def test_whoever_is_cancelled_from_outside_is_cancelled_also_at_the_moment_of_its_end() -> None:
    hold = Hold(0.05)
    task = asyncio.create_task(held(hold, 10))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    both = asyncio.create_task(held(hold, 10))
    await asyncio.sleep(0)
    for one in list(hold._held):
        one.give_up()
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both


async def test_an_error_of_its_own_is_told_also_at_its_end() -> None:
    hold = Hold(0.02)

    async def fails() -> None:
        with hold.begin():
            try:
                await asyncio.sleep(10)
            finally:
                raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await fails()
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
