"""The whole schema on one page.

Keys begin with the app's id wherever a table grows with the traffic, and the write path and the worker touch one app's
rows at a time: that is what lets the tables be distributed by app. `chunks`, `events` and `frames` are partitioned by the
time of receipt, `traffic` by its minute, and dropped by partition (`partitions.py` makes them ahead). Times are
`timestamptz`; ids of rows that grow with the traffic are UUIDs of version 7, so that they sort by the time they were made
(RFC 9562 §5.7).
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

# Events that are not made by drainwatch itself. Queries say it to the letter, else the planner does not see which index will
# do.
OWN_KINDS = ("traffic", "heartbeat", "platform_status")
NOT_OWN = f"kind not in {OWN_KINDS}"


def _time(name: str, *, optional: bool = False, now: bool = False) -> Column[object]:
    return Column(
        name,
        TIMESTAMP(timezone=True),
        nullable=optional,
        server_default=text("now()") if now else None,
    )


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


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

# What each drain has sent, added up over the web processes some seconds behind. `heard_at` is when its last frame came, `lost`
# what Logplex says it dropped, `skew_ms` how much later than the newest line's own time a frame comes.
drain_counts = _table(
    "drain_counts",
    Column("app_id", Integer, primary_key=True),
    Column("drain_id", Integer, primary_key=True),
    _count("frames"),
    _count("lines"),
    _count("bytes"),
    _count("repeats"),
    _count("damaged"),
    _count("mismatches"),
    _count("lost"),
    _time("heard_at", optional=True),
    _time("lost_at", optional=True),
    Column("skew_ms", BigInteger),
)

# Frames that were refused; `drain_id` is 0 for a wrong secret, which names an app but none of its drains.
drain_refusals = _table(
    "drain_refusals",
    Column("app_id", Integer, primary_key=True),
    Column("drain_id", Integer, primary_key=True),
    Column("status", SmallInteger, primary_key=True),
    _count("count"),
    _time("last_at"),
)

# The greatest number of lost messages that was said with one `since`, which is what was lost (Logplex counts on until a
# frame gets through); kept as long as Logplex may still count on, and in `drain_counts.lost` for good.
drain_losses = _table(
    "drain_losses",
    Column("app_id", Integer, primary_key=True),
    Column("drain_id", Integer, primary_key=True),
    Column("since", TIMESTAMP(timezone=True), primary_key=True),
    _count("count"),
    _time("noted_at", now=True),
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
    Column("apps", ARRAY(Text)),  # globs of the apps it may ask about; None: all
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

# Messages of one app, kept together. A merged chunk holds several that came one after the other, its `parts`: `received_at`
# and `id` are the first one's, `ended_at` and `last_id` the last one's (None where the chunk is one commit's). The two sorts
# lie in partitions of their own: those of the merged are dense and stay, those of the others are emptied by the merging.
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
    Column("merged", Boolean, primary_key=True, server_default=text("false")),
    _time("ended_at", optional=True),
    Column("last_id", Uuid),
    Column("parts", LargeBinary),  # what `parts.py` packs
    postgresql_partition_by="RANGE (merged, received_at)",
)

# A commit's chunk of one app, and the number of the transaction that committed it: what streams follow, for some hours. Where
# `events` is -1 it is one event, come about later, and `chunk_id` that event's id.
arrivals = _table(
    "arrivals",
    Column("xid", BigInteger, primary_key=True, server_default=text("(pg_current_xact_id()::text)::bigint")),
    Column("app_id", Integer, primary_key=True),
    Column("chunk_id", Uuid, primary_key=True),
    _time("received_at"),
    Column("events", Integer, nullable=False),
    _time("made_at", now=True),
    Index("arrivals_alone", "chunk_id", postgresql_where=text("events < 0")),
)

# Of each app, before when its chunks are merged as far as they will be; whoever merges holds the row.
merging = _table(
    "merging",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    _time("merged_until"),
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
    # Lists are newest first by the lines' own time; errors are what people ask for, so they have an index of their own. What
    # drainwatch makes itself each minute is in no list unless asked for by its kind, and would be in the way in these indexes.
    Index("events_by_app", "app_id", "ts", "id", postgresql_where=text(NOT_OWN)),
    Index("events_by_time", "ts", "id", postgresql_where=text(NOT_OWN)),
    Index("events_by_kind", "app_id", "kind", "ts", "id"),
    Index("events_by_code", "app_id", "code", "ts", "id", postgresql_where=text("code is not null")),
    Index(
        "promotions", "app_id", text("(fields ->> 'promotion_id')"), "ts", postgresql_where=text("kind = 'promotion'")
    ),
    Index("errors_by_app", "app_id", "ts", "id", postgresql_where=text("severity >= 3")),
    Index("errors_by_time", "ts", "id", postgresql_where=text("severity >= 3")),
    postgresql_partition_by="RANGE (received_at)",
)

# What an app sent in a minute (UTC) by its lines' own times; the worker adds up what `pending` brings. `traffic_id` and
# `heartbeat_id` are the events that the minute became once it was over, both made at `closed_at`; None: still open, or no
# requests. The heartbeat of an app that was silent before is made sooner. Times are distributions as `parsers/traffic.py`
# packs them.
traffic = _table(
    "traffic",
    Column("app_id", Integer, primary_key=True),
    Column("minute", TIMESTAMP(timezone=True), primary_key=True),
    Column("lines", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("by_status", JSONB, nullable=False),
    Column("by_code", JSONB, nullable=False),
    Column("service", LargeBinary, nullable=False),
    Column("connect", LargeBinary, nullable=False),
    _time("closed_at", optional=True),
    Column("heartbeat_id", Uuid),
    Column("traffic_id", Uuid),
    Index("traffic_open", "app_id", "minute", postgresql_where=text("closed_at is null")),
    postgresql_partition_by="RANGE (minute)",
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
# app's clock. `traffic` is what it adds to which minutes, as `parsers/traffic.py` packs it. `unfinished`: the next chunk may go
# on with something that began in it.
pending = _table(
    "pending",
    Column("app_id", Integer, primary_key=True),
    Column("chunk_id", Uuid, primary_key=True),
    _time("received_at"),
    _time("newest_at"),
    Column("events", Integer, nullable=False),
    Column("traffic", LargeBinary, nullable=False, server_default=text("''")),
    Column("unfinished", Boolean, nullable=False, server_default=text("false")),
)

# Web processes that keep frames on disk while the database is away: since when the oldest of those waits (None: none does),
# and when, by the database's clock, the process last said so.
spools = _table(
    "spools",
    Column("holder", Text, primary_key=True),
    _time("since", optional=True),
    _time("seen_at"),
)

# A worker's turn at an app. `token` rises with every change of hands and fences the commit.
leases = _table(
    "leases",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    _time("expires_at"),
)

# Workers that live, or did within seven days; `seen_at` is by the database's clock.
workers = _table(
    "workers",
    Column("holder", Text, primary_key=True),
    _time("started_at"),
    _time("seen_at"),
)

# An app's clock (`newest_at`: the newest event time folded; `heard_at`: when the last lines came) and `wake_at`: the earliest
# timer of its rules, on the app's clock. `minute_at` is the earliest minute of its traffic that is still open. `unfinished` is
# what the next chunk may go on with, as JSON; None for nothing.
clocks = _table(
    "clocks",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    _time("newest_at"),
    _time("heard_at"),
    _time("wake_at", optional=True),
    _time("minute_at", optional=True),
    Column("unfinished", JSONB(none_as_null=True)),
    Index("clocks_by_wake", "wake_at"),
    Index("clocks_by_minute", "minute_at"),
)

rule_states = _table(
    "rule_states",
    Column("app_id", Integer, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("state", JSONB, nullable=False),
    _time("wake_at", optional=True),
    _time("forget_at", optional=True),
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
    Column("inhibits", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # rules that it silences in its app
    _time("flapping_since", optional=True),
    _time("timer_at", optional=True),  # when it escalates, or has stopped flapping: on the app's clock
    _time("traceback_at", optional=True),  # when to look for its traceback again, on the wall's clock
    Column("gaps", JSONB, nullable=False, server_default=text("'[]'")),  # when nobody heard the app meanwhile
    Column("revision", Integer, nullable=False, server_default=text("1")),  # of writes, as version is of steps
    Column(
        "counted_before", Integer, nullable=False, server_default=text("0")
    ),  # of count: before it was reopened last
    Index("incidents_ongoing", "app_id", "rule", "subject", unique=True, postgresql_where=text("status <> 'resolved'")),
    Index("incidents_by_time", "opened_at", "id"),
    Index("incidents_by_timer", "timer_at", postgresql_where=text("timer_at is not null")),
    Index("incidents_by_traceback", "traceback_at", postgresql_where=text("traceback_at is not null")),
    Index("incidents_acknowledged", "acknowledged_at", postgresql_where=text("status = 'acknowledged'")),
    Index("causes", "app_id", "resolved_at", postgresql_where=text("inhibits <> '{}'")),
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

# From `starts_at` to `ends_at` what `match` says of is not told. `announced_at` is None until it was told that it has ended.
silences = _table(
    "silences",
    Column("id", Integer, Identity(), primary_key=True),
    Column("match", Text, nullable=False),
    _time("starts_at"),
    _time("ends_at"),
    Column("comment", Text, nullable=False),
    Column("author", Text, nullable=False),
    _time("created_at", now=True),
    _time("announced_at", optional=True),
    Index("silences_to_announce", "ends_at", postgresql_where=text("announced_at is null")),
)

# Incidents that were not told, and the silence or the cause that kept them; gone when they are told, or over.
hushed = _table(
    "hushed",
    Column("app_id", Integer, primary_key=True, autoincrement=False),
    Column("incident_id", Uuid, primary_key=True),
    Column("silence_id", Integer),
    Column("cause_id", Uuid),
)

# Whether a step of an incident was told at an endpoint, and why (not): the end of a sentence that begins "(not) told, for".
# `endpoint_id` is None for what was hushed everywhere; `delivery_id` what told it.
decisions = _table(
    "decisions",
    Column("app_id", Integer, primary_key=True),
    Column("id", Uuid, primary_key=True),
    _time("at"),
    Column("incident_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),  # the transition's; 0: of none
    Column("endpoint_id", Integer),
    Column("type", Text, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("delivery_id", Uuid),
    Index("decisions_by_incident", "app_id", "incident_id", "number"),
    Index("decisions_by_time", "at", postgresql_where=text("told")),
    Index("decisions_by_delivery", "delivery_id", postgresql_where=text("delivery_id is not null")),
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
    Column("routing_key", Text),  # PagerDuty's; needed in the clear, as it goes into the body
    Column("min_severity", SmallInteger),  # None: any
    Column("escalations", Boolean, nullable=False, server_default=text("true")),
    Column("repeat_s", Integer),  # reminders of what nobody acknowledges; None: none
    Column("quiet_hours", Text),  # as `22:00-07:00 Europe/Berlin`; None: none
    Column("disabled_reason", Text),  # None: enabled
    _time("failing_since", optional=True),  # None: the last attempt succeeded, or there was none
    _time("created_at", now=True),
    _time("removed_at", optional=True),
    Index(
        "endpoints_heartbeat",
        "format",
        unique=True,
        postgresql_where=text("format = 'heartbeat' and removed_at is null"),
    ),
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
    Column("repeat", Integer, nullable=False, server_default=text("0")),  # of reminders of it: 1, 2 …
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
    Index("deliveries_in_order", "endpoint_id", "incident_id", "number", "repeat", unique=True),
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
