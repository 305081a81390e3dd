"""The stack trace that belongs to an incident, which need not have been complete, or there at all, when the rule fired.

A trace's lines come one message each and may come in several frames; its event says where it begins. So it is read from the
kept lines, as far as they go, and looked for again for a minute: after one second, and each time after as long again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parsers.line import Line
from parsers.multiline import MOST_LINES, Fold
from service.store import chunks, evidence
from service.store.evidence import Kept
from service.store.ids import made_at
from service.store.incidents import Incident

# Heroku says that a dyno crashed some seconds after its process has printed why; clocks differ.
_BEFORE, _AFTER = timedelta(minutes=2), timedelta(seconds=10)
_FIRST_LOOK, _LOOKS_FOR = timedelta(seconds=1), timedelta(minutes=1)


async def with_traceback(conn: AsyncConnection, incident: Incident, *, now: datetime) -> Incident:
    """`incident` with its traceback as far as it has come, and when to look again; `now` is the wall's."""
    lines, is_whole = await _find(conn, incident)
    age = now - made_at(incident.id)
    again = None if is_whole or age >= _LOOKS_FOR else now + max(age, _FIRST_LOOK)
    return replace(incident, traceback=lines or incident.traceback, traceback_at=again)


async def _find(conn: AsyncConnection, incident: Incident) -> tuple[list[str] | None, bool]:
    """The lines of the trace nearest to the incident's first event, else to its newest; and whether there can be no more."""
    for event in (incident.evidence[:1], incident.evidence[-1:]):
        dyno = event[0]["dyno"] if event else None
        if dyno is None:
            continue
        at = datetime.fromisoformat(event[0]["ts"])
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
    return None, not any(event["dyno"] for event in incident.evidence)


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
