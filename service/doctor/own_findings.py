"""Findings about drainwatch itself: its database, its settings, and what waits in it."""

from datetime import timedelta
from urllib.parse import urlsplit

from parsers.event import Severity
from service.doctor.facts import Facts, Store
from service.doctor.finding import Finding, Found, ago, count, some, span_of

OLDEST_POSTGRES = 150_000
# What is further off than this puts "15m ago" in the wrong place.
CLOCKS_APART = timedelta(seconds=5)
# A worker takes what has come within half a second, and catches up with an outage of an hour in some minutes.
STAGE_LATE_S = {"fold": 30.0, "fan_out": 30.0, "deliver": 60.0}
SPOOL_WAITS = timedelta(minutes=1)


def unreachable(facts: Facts) -> Found:
    """The database does not answer, or has another schema."""
    if facts.away is not None:
        yield Finding(
            "database_away",
            Severity.CRITICAL,
            f"the database does not answer: {facts.away}",
            "frames are held for 4 s and then refused, unless there is a spool; nothing is recognised and nobody is told",
            ("psql $DATABASE_URL -c 'select 1'", "heroku pg:info"),
        )
    if facts.schema is not None:
        yield Finding(
            "database_schema",
            Severity.CRITICAL,
            facts.schema,
            "this code reads and writes tables as it knows them",
            ("drainwatch migrate",),
        )


def local_url(facts: Facts) -> Found:
    """Whoever follows a link of ours ends at their own machine."""
    host = urlsplit(facts.public_url).hostname or ""
    if host in ("localhost", "::1", "0.0.0.0") or host.startswith("127."):  # noqa: S104
        yield Finding(
            "local_url",
            Severity.INFO,
            f"DRAINWATCH_PUBLIC_URL is {facts.public_url}",
            "drain URLs and the links in notifications lead to this machine alone: Heroku does not reach it there",
            ("export DRAINWATCH_PUBLIC_URL=https://logs.example.com",),
        )


def old_postgres(facts: Facts, store: Store) -> Found:
    """A server older than those that drainwatch is made for."""
    if store.server.version_num < OLDEST_POSTGRES:
        yield Finding(
            "old_postgres",
            Severity.ERROR,
            f"the database is PostgreSQL {store.server.version}",
            "drainwatch is made for 15 to 18; what else it says here may be wrong",
            ("heroku pg:upgrade",),
        )


def partitions(facts: Facts, store: Store) -> Found:
    """Days to come for which there is no table."""
    if store.missing:
        yield Finding(
            "partitions_missing",
            Severity.CRITICAL if store.workers.living == 0 else Severity.ERROR,
            f"there is no partition {some(store.missing)}",
            "what is received on those days cannot be kept; a worker makes them three days ahead, each hour",
            ("drainwatch worker", "drainwatch migrate"),
        )


def clocks(facts: Facts, store: Store) -> Found:
    """This machine's clock and the database's say other times."""
    apart = facts.now - store.server.now
    if abs(apart) > CLOCKS_APART:
        yield Finding(
            "clocks_apart",
            Severity.WARNING,
            f"this machine's clock is {span_of(abs(apart))} {'ahead of' if apart > timedelta(0) else 'behind'} the database's",
            "what was received when is written by this one, what is due when by the other",
            ("timedatectl status",),
        )


def workers(facts: Facts, store: Store) -> Found:
    """Nobody folds, nobody tells."""
    if store.workers.living == 0:
        last = store.workers.seen_at
        since = f"the last one was seen {ago(last, store)}" if last else "none has run here these seven days"
        yield Finding(
            "no_worker",
            Severity.CRITICAL,
            f"no worker is alive: {since}",
            "lines are kept, but no incident is recognised and nobody is told",
            ("drainwatch worker", "heroku ps:scale worker=1"),
        )


def stages(facts: Facts, store: Store) -> Found:
    """What waits for too long, stage by stage."""
    says = {
        "fold": ("fold_lags", "chunks wait to be folded", "incidents are recognised so much later"),
        "fan_out": ("fan_out_lags", "steps of incidents wait for their notifications", "people are told so much later"),
        "deliver": ("delivery_lags", "deliveries are due", "people are told so much later; a receiver may be slow"),
    }
    for stage in store.stages:
        if stage.late_s > STAGE_LATE_S.get(stage.name, 60.0):
            name, what, why = says[stage.name]
            late = span_of(timedelta(seconds=stage.late_s))
            doing = ("drainwatch webhook list",) if stage.name == "deliver" else ("drainwatch worker",)
            yield Finding(name, Severity.ERROR, f"{stage.waiting} {what}, the oldest for {late}", why, doing)


def overdue(facts: Facts, store: Store) -> Found:
    """Deliveries that nothing holds up and nobody sends."""
    if store.overdue:
        yield Finding(
            "deliveries_overdue",
            Severity.ERROR,
            f"{count(store.overdue, 'delivery', 'deliveries')} should have been sent more than 60 s ago",
            "nothing stands in their way but that nobody sends them",
            ("drainwatch worker", "drainwatch webhook list"),
        )


def spools(facts: Facts, store: Store) -> Found:
    """Frames on a disk that should long be committed."""
    for one in store.spooled:
        if store.server.now - one.since <= SPOOL_WAITS:
            continue
        gone = store.server.now - one.seen_at > SPOOL_WAITS
        what = f"{one.holder} has frames of {ago(one.since, store)} on its disk"
        yield Finding(
            "spool_waits",
            Severity.ERROR if gone else Severity.WARNING,
            f"{what}, and was last seen {ago(one.seen_at, store)}" if gone else what,
            "they were answered 204 and are in no list; a process that starts on that disk commits them"
            if gone
            else "they were answered 204 and are in no list until they are committed",
            ("DRAINWATCH_SPOOL=… drainwatch web",) if gone else ("drainwatch doctor",),
        )
