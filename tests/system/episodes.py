"""A story for when processes are killed: in each episode another process type crashes in a loop and gets well again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from parsers.frame import Reading, read_frame
from parsers.line import Origin
from processes import Service
from service.cli.logplex import Habits, Node, frame_id_of, piece_of
from service.detect.backtest import Batch, backtest
from service.detect.rule_book import RuleBook
from vocabulary import crash, exited, frame_of, router_line, state

ORIGIN = Origin("looping", "production")
LASTS = timedelta(minutes=10)

Found = tuple[str, str, str, str, str | None, int]


def episodes(number: int, *, until: datetime) -> list[list[bytes]]:
    """`number` episodes of some frames each, one after the other; the last ends at `until`."""
    return [_episode(f"type{at}.1", until - (number - at) * LASTS) for at in range(number)]


def expected(told: Sequence[Sequence[bytes]]) -> list[Found]:
    """The incidents of episodes: rule, subject, severity, when opened and resolved, and how many events."""
    long_after = datetime.fromisoformat("2200-01-01T00:00+00:00")
    frames = [read_frame(body, ORIGIN, long_after, Reading()) for episode in told for body in episode]
    batches = [Batch([replace(event, id=uuid4()) for event in one.events], one.newest_at) for one in frames]
    found = backtest(RuleBook().for_app(ORIGIN.app, ORIGIN.environment), batches)
    return sorted(
        (
            one.rule,
            one.key,
            one.severity.label,
            _said(one.fired_at),
            one.cleared_at and _said(one.cleared_at),
            one.count,
        )
        for one in found
    )


async def found(served: Service) -> list[Found]:
    """The incidents that the service has of them, in the same words."""
    page = await served.get("/v1/incidents", app=ORIGIN.app, limit=1000)
    return sorted(
        (one["rule"], one["subject"], one["severity"], one["opened_at"], one["resolved_at"], one["count"])
        for one in page["items"]
    )


async def tell(url: str, secret: str, episode: Sequence[bytes]) -> None:
    """Posts an episode frame by frame, each until it is taken, and slowly enough for a kill to come in between.

    Each try is a sender of its own: one that had given a frame up would say so with the next, and that loss would be a gap.
    """
    # Now and then an answer is lost on its way, so that a frame comes twice.
    habits = Habits(answers_lost=0.05, delay_most_s=0.3)
    for number, body in enumerate(episode):
        frame_id = frame_id_of(ORIGIN.app, number, body)
        async with asyncio.timeout(60):
            while not await _post(Node(url, app=ORIGIN.app, secret=secret, habits=habits), body, frame_id):
                pass
        await asyncio.sleep(0.1)


async def _post(node: Node, body: bytes, frame_id: str) -> bool:
    try:
        return await node.post([piece_of(body)], frame_id=frame_id)
    finally:
        await node.close()


def _episode(dyno: str, begins: datetime) -> list[bytes]:
    times = (begins + timedelta(seconds=seconds) for seconds in range(60))
    return [
        frame_of(exited(dyno, 1, next(times)), crash(dyno, next(times))),
        frame_of(state(dyno, "crashed", "starting", next(times)), exited(dyno, 1, next(times))),
        frame_of(crash(dyno, next(times), before="starting"), state(dyno, "crashed", "starting", next(times))),
        frame_of(state(dyno, "starting", "up", next(times))),
        *(frame_of(router_line(begins + timedelta(minutes=minutes))) for minutes in (3, 6, 9)),
    ]


def _said(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
