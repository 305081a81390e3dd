"""The whole schema on one page.

Keys begin with the app's id wherever a table grows with the traffic, and the write path and the worker touch one app's
rows at a time: that is what lets the tables be distributed by app. `chunks`, `events` and `frames` are partitioned by the
time of receipt and dropped by partition (`partitions.py` makes them ahead). Times are `timestamptz`; ids of rows that
grow with the traffic are UUIDs of version 7, so that they sort by the time they were made (RFC 9562 §5.7).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData()


def _time(name: str, *, optional: bool = False, now: bool = False) -> Column[object]:
    return Column(
        name,
        TIMESTAMP(timezone=True),
        nullable=optional,
        server_default=text("now()") if now else None,
    )


def _table(name: str, *items: SchemaItem, postgresql_partition_by: str | None = None) -> Table:
    return Table(name, metadata, *items, postgresql_partition_by=postgresql_partition_by)


# -- who may post, who may ask ---------------------------------------------------------------------------------------

apps = _table(
    "apps",
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("environment", Text, nullable=False),
    _time("created_at", now=True),
)

drains = _table(
    "drains",
    Column("id", Integer, Identity(), primary_key=True),
    Column("app_id", Integer, ForeignKey("apps.id"), nullable=False, index=True),
    # SHA-256 of secrets of 192 random bits: nothing slower is needed against guessing.
    Column("secret_hash", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary),
    _time("previous_until", optional=True),
    Column("logplex_token", Text),
    _time("created_at", now=True),
    _time("removed_at", optional=True),
)

tokens = _table(
    "tokens",
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, CheckConstraint("scope in ('read', 'write', 'admin')"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _time("created_at", now=True),
    _time("used_at", optional=True),
    _time("revoked_at", optional=True),
)

# -- what was sent ---------------------------------------------------------------------------------------------------

# One row per frame id, so that a repeat is stored once. `day` is the date of receipt in UTC, and the partition. `frame_key`
# is a 128-bit digest of whatever names the frame: a constant size, however long a header is.
frames = _table(
    "frames",
    Column("app_id", Integer, primary_key=True),
    Column("drain_id", Integer, primary_key=True),
    Column("frame_key", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    _time("received_at"),
    postgresql_partition_by="RANGE (day)",
)

chunks = _table(
    "chunks",
    Column("app_id", Integer, primary_key=True),
    Column("received_at", TIMESTAMP(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
    _time("first_at"),
    _time("last_at"),
    Column("lines", Integer, nullable=False),
    Column("processes", ARRAY(Text), nullable=False),
    Column("size", Integer, nullable=False),  # bytes before compression
    Column("body", LargeBinary, nullable=False),  # octet-counted messages as they came, redacted, zstd
    postgresql_partition_by="RANGE (received_at)",
)

events = _table(
    "events",
    Column("app_id", Integer, primary_key=True),
    Column("received_at", TIMESTAMP(timezone=True), primary_key=True),
    Column("id", Uuid, primary_key=True),
    _time("ts"),
    Column("kind", Text, nullable=False),
    Column("code", Text),
    Column("severity", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("dyno", Text),
    Column("message", Text, nullable=False),
    Column("fields", JSONB, nullable=False),
    Column("flags", ARRAY(Text), nullable=False),
    Column("chunk_id", Uuid, nullable=False),
    Column("place", Integer, nullable=False),
    # Lists are newest first by the lines' own time; errors are what people ask for, so they have an index of their own.
    Index("events_by_app", "app_id", "ts", "id"),
    Index("events_by_time", "ts", "id"),
    Index("errors_by_app", "app_id", "ts", "id", postgresql_where=text("severity >= 3")),
    Index("errors_by_time", "ts", "id", postgresql_where=text("severity >= 3")),
    postgresql_partition_by="RANGE (received_at)",
)

quarantine = _table(
    "quarantine",
    Column("app_id", Integer, primary_key=True),
    Column("id", Uuid, primary_key=True),
    _time("received_at"),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("quarantine_by_time", "received_at", "id"),
)

# -- what is to be folded, and how far the folds are -----------------------------------------------------------------

# A commit's chunk of one app, not yet folded. `newest_at` is the newest time at which one of its lines counts: it moves the
# app's clock.
pending = _table(
    "pending",
    Column("app_id", Integer, primary_key=True),
    Column("chunk_id", Uuid, primary_key=True),
    _time("received_at"),
    _time("newest_at"),
    Column("events", Integer, nullable=False),
)

# A worker's turn at an app. `token` rises with every change of hands and fences the commit.
leases = _table(
    "leases",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    _time("expires_at"),
)

# An app's clock (`newest_at`: the newest event time folded; `heard_at`: when the last lines came) and `wake_at`: the earliest
# timer of its rules, on the app's clock.
clocks = _table(
    "clocks",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    _time("newest_at"),
    _time("heard_at"),
    _time("wake_at", optional=True),
    Index("clocks_by_wake", "wake_at"),
)

rule_states = _table(
    "rule_states",
    Column("app_id", Integer, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("state", JSONB, nullable=False),
    _time("wake_at", optional=True),
)

# -- what it means ---------------------------------------------------------------------------------------------------

incidents = _table(
    "incidents",
    Column("app_id", Integer, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),  # what the rule's key says: a dyno's process type, a flag, or the app
    Column("severity", SmallInteger, nullable=False),
    Column("status", Text, CheckConstraint("status in ('open', 'acknowledged', 'resolved')"), nullable=False),
    Column("title", Text, nullable=False),
    Column("diagnosis", Text, nullable=False),
    Column("remedies", JSONB, nullable=False),
    Column("verify", Text, nullable=False),
    Column("runbook", Text),
    _time("opened_at"),
    _time("last_seen_at"),
    _time("acknowledged_at", optional=True),
    _time("escalated_at", optional=True),
    _time("resolved_at", optional=True),
    Column("count", Integer, nullable=False),
    Column("release", JSONB),
    Column("evidence", JSONB, nullable=False),  # events as JSON: the first and the newest 20
    Column("context", JSONB, nullable=False),  # lines around the first
    Column("traceback", JSONB),
    Index("incidents_ongoing", "app_id", "rule", "subject", unique=True, postgresql_where=text("status <> 'resolved'")),
    Index("incidents_by_time", "opened_at", "id"),
)

# One step of an incident's life: the timeline, and the outbox from which notifications are made. `fanned_out_at` is None
# until its deliveries exist. `incident` is the incident's JSON as it was then.
transitions = _table(
    "transitions",
    Column("app_id", Integer, primary_key=True),
    Column("incident_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    _time("at"),  # the events' time
    _time("made_at", now=True),
    Column("actor", Text),
    Column("note", Text),
    Column("incident", JSONB, nullable=False),
    _time("fanned_out_at", optional=True),
    Index("transitions_owed", "made_at", postgresql_where=text("fanned_out_at is null")),
)

# -- who is told -----------------------------------------------------------------------------------------------------

endpoints = _table(
    "endpoints",
    Column("id", Integer, Identity(), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # needed in the clear to sign
    Column("previous_secret", Text),
    _time("previous_until", optional=True),
    Column("format", Text, nullable=False),
    Column("match", Text, nullable=False),
    Column("types", ARRAY(Text)),  # None: all
    Column("allow_private", Boolean, nullable=False),
    Column("disabled_reason", Text),  # None: enabled
    _time("created_at", now=True),
    _time("removed_at", optional=True),
)

# A transition owed to one endpoint. `payload` is the body as it is signed, as text: JSONB would sort its keys, and a repeat
# must be the same to the byte. `failures` counts since it was last queued and sets the back-off; `give_up_at` moves when a
# dead one is sent again.
deliveries = _table(
    "deliveries",
    Column("id", Uuid, primary_key=True),  # the webhook-id
    Column("endpoint_id", Integer, ForeignKey("endpoints.id"), nullable=False),
    Column("app_id", Integer),
    Column("incident_id", Uuid),
    Column("number", Integer),  # the transition's
    Column("type", Text, nullable=False),
    Column(
        "status",
        Text,
        CheckConstraint("status in ('pending', 'delivered', 'dead', 'superseded')"),
        nullable=False,
    ),
    Column("payload", Text, nullable=False),
    _time("created_at", now=True),
    _time("due_at"),
    _time("give_up_at"),
    _time("claimed_until", optional=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Index("deliveries_due", "endpoint_id", "due_at", postgresql_where=text("status = 'pending'")),
    Index("deliveries_by_endpoint", "endpoint_id", "created_at", "id"),
    # One delivery per transition and endpoint, whoever fans out how often; a test belongs to no incident.
    Index("deliveries_in_order", "endpoint_id", "incident_id", "number", unique=True),
)

attempts = _table(
    "attempts",
    Column("delivery_id", Uuid, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _time("at"),
    Column("status", Integer),  # the HTTP status, None where no answer came
    Column("ms", Integer, nullable=False),
    Column("error", Text),
    Column("answer", Text),  # its first KiB
)
