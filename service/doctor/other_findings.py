"""Findings about those outside: the drains that speak, and the webhooks that are told."""

from datetime import timedelta

from parsers.event import Severity
from service.doctor.facts import Facts, Store
from service.doctor.finding import Finding, Found, ago, count, drain_named, lately, span_of

LINES_APART = timedelta(minutes=1)
# Within this time a drain that was just added is heard: Heroku itself says something at each deploy.
FIRST_WORD = timedelta(minutes=10)
# A dyno that serves anyone says something within the hour; one that sleeps does not.
SILENT = timedelta(hours=1)


def no_drain(facts: Facts, store: Store) -> Found:
    """Nobody may post."""
    if not store.drains:
        yield Finding(
            "no_drain",
            Severity.WARNING,
            "there is no drain",
            "nobody may post",
            ("drainwatch drain add APP --environment production",),
        )


def heard(facts: Facts, store: Store) -> Found:
    """Drains that say nothing, from the beginning or since a while."""
    for one in store.drains:
        heard_at, now = one.counts.heard_at, store.server.now
        if heard_at is None and now - one.created_at > FIRST_WORD:
            yield Finding(
                "drain_never_heard",
                Severity.WARNING,
                f"{drain_named(one)} was added {ago(one.created_at, store)}, and no frame has come",
                "either Heroku was never told of it, or its URL is wrong",
                (f"heroku drains --app {one.app}", f"drainwatch drain rotate {one.id}"),
            )
        elif heard_at is not None and now - heard_at > SILENT:
            yield Finding(
                "drain_not_heard",
                Severity.WARNING,
                f"{drain_named(one)} was last heard {ago(heard_at, store)}",
                "silence is not health; an app that is scaled to 0 or asleep is silent too",
                (f"heroku drains --app {one.app}", f"heroku ps --app {one.app}"),
            )


def refused(facts: Facts, store: Store) -> Found:
    """Drains whose frames were refused lately."""
    for one in store.drains:
        if lately(one.counts.refused_at, store):
            answers = ", ".join(f"{status} ({count} so far)" for status, count in sorted(one.counts.refusals.items()))
            remedy = f"drainwatch drain rotate {one.id}" if "401" in one.counts.refusals else "drainwatch drain list"
            yield Finding(
                "drain_refused",
                Severity.ERROR,
                f"frames of {drain_named(one)} were refused, the last {ago(one.counts.refused_at, store)}: {answers}",
                "each is lines that Logplex has dropped; 401 is a wrong secret, 403 another drain's token, 413 too large",
                (remedy, f"heroku drains --app {one.app}"),
            )


def lost(facts: Facts, store: Store) -> Found:
    """Drains of which Logplex has dropped lines lately."""
    for one in store.drains:
        if lately(one.counts.lost_at, store):
            yield Finding(
                "drain_lost",
                Severity.WARNING,
                f"Logplex has dropped {count(one.counts.lost, 'line')} of {drain_named(one)} so far, the last "
                f"{ago(one.counts.lost_at, store)}",
                "what was in them was not seen; a rule that saw nothing proves nothing then",
                (f"drainwatch search 'code:L10' --app {one.app} --since 24h",),
            )


def skewed(facts: Facts, store: Store) -> Found:
    """Drains whose lines' times are not those of their coming."""
    for one in store.drains:
        skew = timedelta(milliseconds=one.counts.skew_ms or 0)
        old = "old" if skew > timedelta(0) else "ahead"
        if abs(skew) > LINES_APART:
            yield Finding(
                "lines_late",
                Severity.WARNING,
                f"lines of {drain_named(one)} say that they are {span_of(abs(skew))} {old} when they come",
                "rules go by the lines' own time: what is late is recognised late, what is from the future counts when it came",
                (f"drainwatch tail --app {one.app} --lines",),
            )


def quarantined(facts: Facts, store: Store) -> Found:
    """Bodies that could not be read lately."""
    for one in store.damaged:
        yield Finding(
            "quarantined",
            Severity.WARNING,
            f"{count(one.number, 'stretch', 'stretches')} of {one.app}'s bodies could not be read within 24 hours, the last "
            f"since {one.reason}",
            "they are kept, and in no line and no event",
            (f'curl -H "Authorization: Bearer $DRAINWATCH_TOKEN" "{facts.public_url}/v1/quarantine?app={one.app}"',),
        )


def webhooks(facts: Facts, store: Store) -> Found:
    """Nobody is told, or somebody no more."""
    if not store.endpoints:
        yield Finding(
            "no_webhook",
            Severity.WARNING,
            "there is no webhook",
            "incidents are recognised, and nobody is told",
            ("drainwatch webhook add URL --match 'severity>=error'",),
        )
    for one in store.endpoints:
        shown = f"webhook {one.id}"
        if one.disabled_reason is not None:
            yield Finding(
                "webhook_disabled",
                Severity.ERROR,
                f"{shown} is disabled: {one.disabled_reason}",
                "nothing is told there",
                (f"drainwatch webhook deliveries {one.id}", f"drainwatch webhook enable {one.id}"),
            )
        elif one.failing_since is not None:
            yield Finding(
                "webhook_failing",
                Severity.WARNING,
                f"{shown} has failed since {ago(one.failing_since, store)}",
                "it is tried again for 24 hours, and given up after five days of failures alone",
                (f"drainwatch webhook deliveries {one.id}", f"drainwatch webhook test {one.id}"),
            )
