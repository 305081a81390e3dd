"""Silences: add, list, change, end; and what one would have hushed. They keep incidents from being told, not from existing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.filters import FilterError, parse_filter
from parsers.filters.tree import And, Equals, Glob, Node, Or
from service.errors import Refused
from service.notify import gate
from service.store import clocks, hushed, incidents, silences, transitions
from service.store.database import Database
from service.store.silences import Silence
from service.wire.incident import IncidentGistJson, gist_json
from service.wire.instant import instant
from service.wire.silence import SilenceJson, silence_json

LASTS = timedelta(hours=24)
# Of so much of the past a preview tells what would have been hushed, and shows so many of it.
LOOKS_BACK = timedelta(days=7)
_EXAMPLES = 5
# What bounds a silence: with neither, all that ever happens would be hushed.
_BOUNDS = ("app", "rule")


@dataclass(frozen=True, slots=True)
class Preview:
    """How many incidents of the last seven days a silence would have kept from being told, how many notifications that were,
    and the newest of those incidents as JSON."""

    incidents: int
    notifications: int
    examples: list[IncidentGistJson]


async def add(
    db: Database,
    *,
    match: str,
    author: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    comment: str = "",
) -> SilenceJson:
    """A new silence: from now on and for 24 hours, unless said otherwise. Raises Refused (400) for one that cannot be."""
    _check(match)
    async with db.begin() as conn:
        now = await clocks.now(conn)
        begins = starts_at or now
        ends = ends_at or begins + LASTS
        _check_end(ends, begins=begins, now=now)
        made = await silences.add(conn, match=match, starts_at=begins, ends_at=ends, comment=comment, author=author)
        return silence_json(made, now=now)


async def listed(db: Database, *, ended: bool | None, before: int | None, limit: int) -> list[SilenceJson]:
    """The newest first, from behind the id `before` on; `ended`: only those that have, or have not."""
    async with db.read() as conn:
        now = await clocks.now(conn)
        found = await silences.page(conn, ended=ended, now=now, before=before, limit=limit)
        return [silence_json(one, now=now) for one in found]


async def one(db: Database, silence_id: int) -> SilenceJson:
    """That silence. Raises Refused (404) where there is none."""
    async with db.read() as conn:
        found = _found(await silences.one(conn, silence_id), silence_id)
        return silence_json(found, now=await clocks.now(conn))


async def change(
    db: Database, silence_id: int, *, match: str | None, ends_at: datetime | None, comment: str | None
) -> SilenceJson:
    """The silence with what is given in place of what it had. Raises Refused: 404 where there is none, 409 where it has ended,
    400 for a value that cannot be."""
    if match is not None:
        _check(match)
    async with db.begin() as conn:
        before, now = await _lasting(conn, silence_id)
        if ends_at is not None:
            _check_end(ends_at, begins=before.starts_at, now=now)
        given = {"match": match, "ends_at": ends_at, "comment": comment}
        values = {name: value for name, value in given.items() if value is not None}
        if match is not None:
            await hushed.reconsider(conn, silence_id)
            await transitions.wake(conn)
        return silence_json(await silences.change(conn, silence_id, **values) if values else before, now=now)


async def end(db: Database, silence_id: int) -> None:
    """Ends the silence now, which is then told; one that has not begun is forgotten. Raises Refused: 404 where there is none,
    409 where it has ended."""
    async with db.begin() as conn:
        before, now = await _lasting(conn, silence_id)
        if before.starts_at > now:
            await silences.remove(conn, silence_id)
        else:
            await silences.change(conn, silence_id, ends_at=now)
            await transitions.wake(conn)


async def preview(db: Database, *, match: str) -> Preview:
    """What a silence with this matcher would have hushed; nothing is saved. Raises Refused (400) like `add`."""
    _check(match)
    async with db.read() as conn:
        lately = await incidents.gists(conn, since=await clocks.now(conn) - LOOKS_BACK)
    would = [one for gist in lately if gate.matches(match, one := gist_json(gist))]
    return Preview(
        incidents=len(would), notifications=sum(one["notifications"] for one in would), examples=would[:_EXAMPLES]
    )


def _check(match: str) -> None:
    try:
        tree = parse_filter(match)
    except FilterError as error:
        raise Refused(
            400,
            f"match is wrong at column {error.column}: expected {error.expected}",
            parameter="match",
            column=error.column,
            expected=error.expected,
        ) from error
    if not _is_bound(tree):
        expected = "app:NAME or rule:NAME in it, as in app:shop-* rule:error_rate"
        raise Refused(
            400,
            f"match is {match[:80]!r}, which would hush every app and every rule; expected {expected}",
            parameter="match",
            expected=expected,
        )


def _is_bound(node: Node) -> bool:
    """Whether whatever the filter holds for is of certain apps or certain rules."""
    match node:
        case Equals(name) | Glob(name):
            return name in _BOUNDS
        case And(nodes):
            return any(_is_bound(one) for one in nodes)
        case Or(nodes):
            return all(_is_bound(one) for one in nodes)
    return False


def _check_end(ends_at: datetime, *, begins: datetime, now: datetime) -> None:
    if ends_at <= max(begins, now):
        expected = f"a time after {instant(max(begins, now))}"
        raise Refused(
            400, f"ends_at is {instant(ends_at)}; expected {expected}", parameter="ends_at", expected=expected
        )


async def _lasting(conn: AsyncConnection, silence_id: int) -> tuple[Silence, datetime]:
    """The silence, which has not ended; and now."""
    found = _found(await silences.one(conn, silence_id, lock=True), silence_id)
    now = await clocks.now(conn)
    if found.ends_at <= now:
        raise Refused(409, f"silence {silence_id} has ended at {instant(found.ends_at)}; add another one")
    return found, now


def _found(silence: Silence | None, silence_id: int) -> Silence:
    if silence is None:
        raise Refused(404, f"there is no silence {silence_id}")
    return silence
