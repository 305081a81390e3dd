"""The folds between batches: a row for each rule and key of an app that has something to remember."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import clocks, rule_states


@dataclass(frozen=True, slots=True)
class Held:
    """What holds something of a rule at an app: a state of that `version`, or (None) an incident that is not resolved."""

    app_id: int
    app: str
    environment: str
    rule: str
    version: str | None


@dataclass(frozen=True, slots=True)
class RuleState:
    """`state` is JSON, None where nothing needs keeping. On the app's clock: `wake_at` is when to fold it again, `forget_at`
    when to fold it if the app is folded anyway."""

    rule: str
    key: str
    state: Any
    wake_at: datetime | None
    forget_at: datetime | None = None


async def touched(
    conn: AsyncConnection, app_id: int, keys: Sequence[tuple[str, str]], *, due_at: datetime
) -> list[RuleState]:
    """The states of `keys` (rule, key), and those whose timer, or time to be forgotten, is due by `due_at`."""
    wanted = or_(rule_states.c.wake_at <= due_at, rule_states.c.forget_at <= due_at)
    if keys:
        wanted = or_(wanted, tuple_(rule_states.c.rule, rule_states.c.key).in_(keys))
    rows = await conn.execute(select(rule_states).where(rule_states.c.app_id == app_id, wanted))
    return [RuleState(row.rule, row.key, row.state, row.wake_at) for row in rows]


async def of_app(conn: AsyncConnection, app_id: int) -> list[RuleState]:
    """All states of the app."""
    rows = await conn.execute(select(rule_states).where(rule_states.c.app_id == app_id))
    return [RuleState(row.rule, row.key, row.state, row.wake_at) for row in rows]


async def record(conn: AsyncConnection, app_id: int, states: Iterable[RuleState]) -> None:
    """Keeps `states`, lets go of those that are None."""
    states = list(states)
    gone = [(one.rule, one.key) for one in states if one.state is None]
    if gone:
        await conn.execute(
            delete(rule_states).where(
                rule_states.c.app_id == app_id, tuple_(rule_states.c.rule, rule_states.c.key).in_(gone)
            )
        )
    kept = [
        {
            "app_id": app_id,
            "rule": one.rule,
            "key": one.key,
            "state": one.state,
            "wake_at": one.wake_at,
            "forget_at": one.forget_at,
        }
        for one in states
        if one.state is not None
    ]
    if kept:
        statement = insert(rule_states).values(kept)
        await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["app_id", "rule", "key"],
                set_={name: statement.excluded[name] for name in ("state", "wake_at", "forget_at")},
            )
        )


async def held(conn: AsyncConnection) -> list[Held]:
    """What every app's rules hold."""
    rows = await conn.execute(_HELD)
    return [Held(row.id, row.name, row.environment, row.rule, row.version) for row in rows]


_HELD = text("""
    select apps.id, apps.name, apps.environment, rule, state ->> 'version' as version
    from rule_states join apps on apps.id = rule_states.app_id where rule <> ''
    union all
    select apps.id, apps.name, apps.environment, rule, null
    from incidents join apps on apps.id = incidents.app_id where status <> 'resolved'""")


async def wake(conn: AsyncConnection, app_ids: Iterable[int]) -> None:
    """Has these apps folded soon, whatever timers they have."""
    await conn.execute(
        update(clocks)
        .where(clocks.c.app_id.in_(list(app_ids)))
        .values(wake_at=func.least(clocks.c.wake_at, clocks.c.newest_at))
    )
