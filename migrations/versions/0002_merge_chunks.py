"""Chunks that are merged lie in partitions of their own; `merging` says how far each app's are merged.

Why: merging empties the partitions that chunks arrive in. In one partition with them the merged ones would keep its file
from being cut short, and the space of what was merged would come back only with the whole day.

Locks: `chunks` altogether, for the time it takes: each day's partition gets its key anew (with `merged` in it) and is read
once when it is attached. On 20 million rows that are 200,000 chunks: 2 s. A web process holds its frames meanwhile. Runs
before the code, which neither reads nor writes the old partitions. The way back keeps every line, but no longer knows the
parts of what was merged: ids of their lines change, and events do not find the lines around them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_CHUNKS = """
    create table chunks (
        app_id integer not null,
        received_at timestamptz not null,
        id uuid not null,
        first_at timestamptz not null,
        last_at timestamptz not null,
        lines integer not null,
        processes text[] not null,
        size integer not null,
        body bytea not null,
        {columns}
        primary key (app_id, received_at, id{key})
    ) partition by range ({by}received_at)
"""
_NEW = """
        merged boolean default false not null,
        ended_at timestamptz,
        last_id uuid,
        parts bytea,
"""


_PARTITIONS = """
    select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'chunks'::regclass and relname ~ '^chunks_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
    order by relname
"""


def upgrade() -> None:
    """Attaches each day's partition to a new `chunks`, as that of the day's chunks that are not merged."""
    op.execute(
        "create table merging (app_id integer not null, merged_until timestamptz not null, primary key (app_id))"
    )
    days = _days()
    for name, _, _ in days:
        op.execute(f"alter table chunks detach partition {name}")
    op.execute("drop table chunks")
    op.execute(_CHUNKS.format(columns=_NEW, key=", merged", by="merged, "))
    op.execute("alter table chunks alter column body set storage external, alter column parts set storage external")
    for name, since, until in days:
        op.execute(
            f"""
            alter table {name} add column merged boolean default false not null, add column ended_at timestamptz,
                add column last_id uuid, add column parts bytea, drop constraint {name}_pkey,
                add primary key (app_id, received_at, id, merged)
            """
        )
        op.execute(f"alter table {name} alter column parts set storage external")
        _attach(name, f"false, '{since}'", f"false, '{until}'")
        op.execute(f"create table {name}_merged (like chunks including all)")
        _attach(f"{name}_merged", f"true, '{since}'", f"true, '{until}'")


def downgrade() -> None:
    """Puts the merged chunks among the others of their day."""
    days = _days()
    for name, _, _ in days:
        op.execute(f"alter table chunks detach partition {name}")
        op.execute(f"insert into {name} select * from {name}_merged")  # noqa: S608 - names of partitions
    op.execute("drop table chunks")  # and with it the partitions of the merged
    op.execute(_CHUNKS.format(columns="", key="", by=""))
    op.execute("alter table chunks alter column body set storage external")
    for name, since, until in days:
        op.execute(
            f"""
            alter table {name} drop constraint {name}_pkey, drop column merged, drop column ended_at, drop column last_id,
                drop column parts, add primary key (app_id, received_at, id)
            """
        )
        _attach(name, f"'{since}'", f"'{until}'")
    op.execute("drop table merging")


def _days() -> Sequence[tuple[str, str, str]]:
    """Of each day for which `chunks` has a partition: the name of that which is not for merged ones, and the midnights at
    which it begins and ends."""
    names = [str(name) for name in op.get_bind().scalars(sa.text(_PARTITIONS))]
    days = [datetime.strptime(name, "chunks_%Y_%m_%d").replace(tzinfo=UTC) for name in names]
    return [(name, str(day), str(day + timedelta(days=1))) for name, day in zip(names, days, strict=True)]


def _attach(name: str, since: str, until: str) -> None:
    op.execute(f"alter table chunks attach partition {name} for values from ({since}) to ({until})")
