"""The folds between batches: a row for each rule and key of an app that has something to remember."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import dump_json
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


# What sets the states (those that are None are let go of) in a statement that does something else too, and what it is given.
RECORDING = """
    states as (
        select * from unnest(cast(:rules as text[]), cast(:keys as text[]), cast(:states as text[]),
            cast(:wakes as timestamptz[]), cast(:forgets as timestamptz[])) as one (rule, key, state, wake_at, forget_at)
    ), forgotten as (
        delete from rule_states where app_id = :app_id and (rule, key) in (select rule, key from states where state is null)
    ), remembered as (
        insert into rule_states (app_id, rule, key, state, wake_at, forget_at)
        select :app_id, rule, key, cast(state as jsonb), wake_at, forget_at from states where state is not null
        on conflict (app_id, rule, key) do update
        set state = excluded.state, wake_at = excluded.wake_at, forget_at = excluded.forget_at
    )"""
_RECORD = text(f"with {RECORDING} select")


def recording(app_id: int, states: Iterable[RuleState]) -> dict[str, Any]:
    """The parameters of RECORDING."""
    states = list(states)
    return {
        "app_id": app_id,
        "rules": [one.rule for one in states],
        "keys": [one.key for one in states],
        "states": [None if one.state is None else dump_json(one.state) for one in states],
        "wakes": [one.wake_at for one in states],
        "forgets": [one.forget_at for one in states],
    }


async def record(conn: AsyncConnection, app_id: int, states: Iterable[RuleState]) -> None:
    """Keeps `states`, lets go of those that are None."""
    await conn.execute(_RECORD, recording(app_id, states))


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
