"""The folds between batches: a row for each rule and key of an app that has something to remember."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import rule_states


@dataclass(frozen=True, slots=True)
class RuleState:
    """`state` is JSON, None where nothing needs keeping; `wake_at` when to fold again, on the app's clock."""

    rule: str
    key: str
    state: Any
    wake_at: datetime | None


async def touched(
    conn: AsyncConnection, app_id: int, keys: Sequence[tuple[str, str]], *, due_at: datetime
) -> list[RuleState]:
    """The states of `keys` (rule, key), and those whose timer is due by `due_at`."""
    wanted = rule_states.c.wake_at <= due_at
    if keys:
        wanted = or_(wanted, tuple_(rule_states.c.rule, rule_states.c.key).in_(keys))
    rows = await conn.execute(select(rule_states).where(rule_states.c.app_id == app_id, wanted))
    return [RuleState(row.rule, row.key, row.state, row.wake_at) for row in rows]


async def record(conn: AsyncConnection, app_id: int, states: Iterable[RuleState]) -> datetime | None:
    """Keeps `states`, lets go of those that are None; gives the earliest timer of all the app's states."""
    states = list(states)
    gone = [(one.rule, one.key) for one in states if one.state is None]
    if gone:
        await conn.execute(
            delete(rule_states).where(
                rule_states.c.app_id == app_id, tuple_(rule_states.c.rule, rule_states.c.key).in_(gone)
            )
        )
    kept = [
        {"app_id": app_id, "rule": one.rule, "key": one.key, "state": one.state, "wake_at": one.wake_at}
        for one in states
        if one.state is not None
    ]
    if kept:
        statement = insert(rule_states).values(kept)
        await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["app_id", "rule", "key"],
                set_={"state": statement.excluded.state, "wake_at": statement.excluded.wake_at},
            )
        )
    earliest = select(func.min(rule_states.c.wake_at)).where(rule_states.c.app_id == app_id)
    wake_at: datetime | None = (await conn.execute(earliest)).scalar_one()
    return wake_at
