"""The stack trace that belongs to an incident, which need not have been complete, or there at all, when the rule fired.

A trace's lines come one message each and may come in several frames; its event says where it begins. So it is read from the
kept lines, as far as they go, and looked for again for a minute: after one second, and each time after as long again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.line import Line
from parsers.multiline import MOST_LINES, Fold
from service.store import chunks, evidence, incidents, timers
from service.store.evidence import Kept, Span
from service.store.ids import made_at
from service.store.incidents import Incident

# Heroku says that a dyno crashed some seconds after its process has printed why; clocks differ.
_BEFORE, _AFTER = timedelta(minutes=2), timedelta(seconds=10)
_FIRST_LOOK, _LOOKS_FOR = timedelta(seconds=1), timedelta(minutes=1)


async def with_traceback(conn: AsyncConnection, incident: Incident, *, now: datetime) -> Incident:
    """`incident` with its traceback as far as it has come, and when to look again; `now` is the wall's."""
    lines, is_whole = await _find(conn, incident)
    return replace(
        incident,
        traceback=lines or incident.traceback,
        traceback_at=None if is_whole else _next_look(incident, now),
    )


async def look_again(conn: AsyncConnection, looked: Sequence[Incident], *, now: datetime) -> None:
    """Writes what has come of the tracebacks of the incidents in `looked`, which the caller holds. Mostly none has, so that is
    asked of all of them at once, and written at once: a thousand incidents may have opened together."""
    asked = [(incident, at) for incident in looked for at in _ats(incident)]
    spans = [Span(one.app_id, dyno, at - _BEFORE, at + _AFTER) for one, (dyno, at) in asked]
    with_any = {asked[number][0].id for number in await evidence.with_traceback(conn, spans)}
    for incident in looked:
        if incident.id in with_any:
            await incidents.refresh(conn, await with_traceback(conn, incident, now=now))
    none = [incident for incident in looked if incident.id not in with_any]
    await timers.look_later(conn, [(one, _next_look(one, now) if _has_dynos(one) else None) for one in none])


def _next_look(incident: Incident, now: datetime) -> datetime | None:
    age, last_at = now - made_at(incident.id), made_at(incident.id) + _LOOKS_FOR
    return min(now + max(age, _FIRST_LOOK), last_at) if now < last_at else None


def _has_dynos(incident: Incident) -> bool:
    return any(event["dyno"] for event in incident.evidence)


def _ats(incident: Incident) -> list[tuple[str, datetime]]:
    """The dyno and time of the incident's first event and of its newest, as far as they are of a dyno."""
    events = (*incident.evidence[:1], *incident.evidence[-1:])
    return [(event["dyno"], datetime.fromisoformat(event["ts"])) for event in events if event["dyno"]]


async def _find(conn: AsyncConnection, incident: Incident) -> tuple[list[str] | None, bool]:
    """The lines of the trace nearest to the incident's first event, else to its newest; and whether there can be no more."""
    for dyno, at in dict.fromkeys(_ats(incident)):
        found = await evidence.tracebacks(
            conn,
            incident.app_id,
            dyno,
            since=at - _BEFORE,
            until=at + _AFTER,
            app=incident.app,
            environment=incident.environment,
        )
        if found:
            return await _read(conn, incident.app_id, min(found, key=lambda one: abs(one.event.ts - at)))
    return None, not _has_dynos(incident)


async def _read(conn: AsyncConnection, app_id: int, kept: Kept) -> tuple[list[str] | None, bool]:
    event = kept.event
    lines = await chunks.around(
        conn, app_id, event.received_at, kept.chunk_id, event.place, event.process, before=0, after=MOST_LINES
    )
    fold = Fold()
    # What Heroku says of the dyno stands between: it is no end of what the dyno says.
    said = [line for line in lines if line.source == event.source]
    for place, line in enumerate(said):
        fold.read(place, Line(line.ts, line.source, line.process, line.text), line.place.received_at)
        if fold.traces and fold.open is not fold.traces[0]:
            break
    if not fold.traces:
        return None, True
    first = fold.traces[0]
    return first.lines[: len(first.lines) - first.further], fold.open is not first
