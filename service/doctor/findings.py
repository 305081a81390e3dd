"""Facts → what is wrong: each with why it matters and what to type. Pure; the worst first."""

from collections.abc import Callable

from service.doctor import other_findings as others
from service.doctor import own_findings as own
from service.doctor.facts import Facts, Store
from service.doctor.finding import Finding, Found, count
from service.doctor.other_findings import SILENT

_LOOKS: tuple[Callable[[Facts, Store], Found], ...] = (
    own.old_postgres,
    own.partitions,
    own.clocks,
    own.workers,
    own.stages,
    own.overdue,
    own.spools,
    others.no_drain,
    others.heard,
    others.refused,
    others.lost,
    others.skewed,
    others.quarantined,
    others.webhooks,
)
# Every name that a finding may have: docs/doctor.md says more of each.
FINDINGS = (
    *("database_away", "database_schema", "old_postgres", "partitions_missing", "clocks_apart", "local_url"),
    *("no_worker", "fold_lags", "fan_out_lags", "delivery_lags", "deliveries_overdue", "spool_waits"),
    *("no_drain", "drain_never_heard", "drain_not_heard", "drain_refused", "drain_lost", "lines_late", "quarantined"),
    *("no_webhook", "webhook_disabled", "webhook_failing"),
)


def findings(facts: Facts) -> list[Finding]:
    """All that is wrong, the worst first; empty: all is well."""
    found = [*own.unreachable(facts), *own.local_url(facts)]
    if facts.store is not None:
        for look in _LOOKS:
            found += look(facts, facts.store)
    return sorted(found, key=lambda one: -one.severity)


def saw(facts: Facts) -> list[str]:
    """What was looked at, a few words each."""
    store = facts.store
    if store is None:
        return []
    heard = [one for one in store.drains if one.counts.heard_at and store.server.now - one.counts.heard_at < SILENT]
    enabled = [one for one in store.endpoints if one.disabled_reason is None]
    return [
        f"PostgreSQL {store.server.version}",
        count(store.workers.living, "worker"),
        f"{count(len(store.drains), 'drain')}, {len(heard)} heard within the hour",
        f"{count(len(store.endpoints), 'webhook')}, {len(enabled)} enabled",
        f"{sum(one.waiting for one in store.stages)} waiting, {store.overdue} overdue",
    ]
