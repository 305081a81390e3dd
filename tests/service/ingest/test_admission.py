"""The bound on what is inside."""

import asyncio

import pytest

from service.ingest.admission import Admission


async def test_what_fits_comes_in_at_once_and_what_does_not_waits_for_room() -> None:
    admission = Admission(100)
    await admission.enter(60)
    second = asyncio.create_task(admission.enter(60))
    await asyncio.sleep(0)
    assert not second.done()
    admission.leave(60)
    await second
    assert admission.inside == 60


async def test_nobody_overtakes_who_waits() -> None:
    admission = Admission(100)
    await admission.enter(90)
    large = asyncio.create_task(admission.enter(50))
    await asyncio.sleep(0)
    small = asyncio.create_task(admission.enter(5))
    await asyncio.sleep(0)
    assert not small.done()
    admission.leave(90)
    await asyncio.gather(large, small)
    assert admission.inside == 55


async def test_who_gives_up_leaves_no_trace() -> None:
    admission = Admission(100)
    await admission.enter(100)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await admission.enter(10)
    admission.leave(100)
    await admission.enter(100)
    assert admission.inside == 100


async def test_what_is_larger_than_the_bound_comes_in_alone() -> None:
    admission = Admission(100)
    await admission.enter(500)
    assert admission.inside == 500
