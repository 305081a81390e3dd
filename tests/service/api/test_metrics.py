"""GET /metrics: who may read it, that Prometheus can, and what the database adds to it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from counting import samples
from keeping import keep
from service import access
from service.access import Access
from service.ingest import drains
from service.ingest.tallies import Tallies
from service.store import drains as rows
from service.store.database import Database
from vocabulary import up

from .conftest import Asking

NOWHERE = "postgres://127.0.0.1:1/none"


async def page(ask: Asking, **given: Any) -> dict[Any, float]:
    """Every sample that is shown."""
    answer = await ask("GET", "/metrics", **given)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


@pytest.fixture
def away(ask: Asking) -> Asking:
    """The same API, whose database has gone away; tokens it has let in are those it had let in before."""
    app = ask.http._transport.app  # type: ignore[attr-defined]
    app.state.api.access._db = Database.open(NOWHERE)
    app.state.api = replace(app.state.api, db=Database.open(NOWHERE))
    return ask


async def test_the_metrics_take_a_read_token(ask: Asking) -> None:
    _, read = await access.create(ask.db, name="prometheus", scope="read")

    assert [(await ask("GET", "/metrics", token=token)).status_code for token in (None, "dw_wrong")] == [401, 401]
    assert (await ask("GET", "/metrics", token=read)).status_code == 200


async def test_the_page_is_in_prometheus_text_format_and_says_all_that_it_counts(ask: Asking) -> None:
    answer = await ask("GET", "/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    shown = {name for name, _ in samples(answer.text)}
    for name in (
        "answers_total",
        "answer_seconds_bucket",
        "admission_bytes",
        "admission_waiting",
        "admission_wait_seconds_count",
        "gzip_frames_total",
        "count_mismatches_total",
        "commit_waiting_frames",
        "commit_seconds_bucket",
        "commit_frames_bucket",
        "commit_bytes_bucket",
        "commit_failures_total",
        "frames_total",
        "messages_total",
        "bytes_total",
        "repeats_total",
        "quarantined_total",
        "spool_bytes",
        "spool_frames",
        "fold_seconds_bucket",
        "folded_chunks_total",
        "delivery_attempts_total",
        "delivery_attempt_seconds_bucket",
        "stage_waiting",
        "deliveries_overdue",
        "stage_lag_seconds",
        "database_up",
    ):
        assert f"drainwatch_{name}" in shown, name
    assert "process_resident_memory_bytes" in shown
    assert not any(name.endswith("_created") for name in shown)


async def test_each_name_is_described_once(ask: Asking) -> None:
    described = [
        line.split()[2] for line in (await ask("GET", "/metrics")).text.splitlines() if line.startswith("# TYPE")
    ]

    assert len(described) == len(set(described)) > 30


async def test_what_waits_to_be_folded_is_shown_with_its_lag(ask: Asking) -> None:
    await keep(ask.db, "shop", up("web.1"))
    async with ask.db.begin() as conn:
        await conn.execute(text("update pending set received_at = now() - interval '90.5 seconds'"))

    shown = await page(ask)

    assert shown["drainwatch_stage_waiting", (("stage", "fold"),)] == 1
    assert 90 < shown["drainwatch_stage_lag_seconds", (("stage", "fold"),)] < 100
    assert shown["drainwatch_stage_lag_seconds", (("stage", "deliver"),)] == 0


async def test_each_drain_is_shown_with_what_all_processes_have_counted(ask: Asking) -> None:
    added = await drains.add(
        ask.db, app="shop", environment="production", logplex_token=None, public_url="https://x.example"
    )
    async with ask.db.read() as conn:
        [drain] = await rows.find(conn, "shop")
    for tallies in (Tallies(), Tallies()):
        tallies.refused(drain, 413)
        await tallies.keep(ask.db)

    shown = await page(ask)

    named = (("app", "shop"), ("drain", str(added.drain.id)))
    assert shown["drainwatch_drain_refusals_total", (*named, ("status", "413"))] == 2
    assert shown["drainwatch_drain_frames_total", named] == 0
    assert ("drainwatch_drain_clock_skew_seconds", named) not in shown


async def test_what_this_process_has_counted_a_moment_ago_is_in_it(ask: Asking) -> None:
    await keep(ask.db, "shop", up("web.1"))
    async with ask.db.read() as conn:
        [drain] = await rows.find(conn, "shop")
    app, tallies = ask.http._transport.app, Tallies()  # type: ignore[attr-defined]
    app.state.api = replace(app.state.api, tallies=tallies)

    tallies.refused(drain, 503)
    assert (await ask.get("/v1/drains"))["items"][0]["refusals"] == {"503": 1}
    tallies.refused(drain, 503)
    assert (await ask.get(f"/v1/drains/{drain.id}"))["refusals"] == {"503": 2}
    tallies.refused(drain, 503)
    labels = (("app", "shop"), ("drain", str(drain.id)), ("status", "503"))
    assert (await page(ask))["drainwatch_drain_refusals_total", labels] == 3


async def test_while_the_database_is_away_who_was_let_in_before_still_sees_what_the_process_counts(
    away: Asking,
) -> None:
    _, read = await access.create(away.db, name="prometheus", scope="read")
    app = away.http._transport.app  # type: ignore[attr-defined]
    there, gone = app.state.api.access, app.state.api.access._db
    there._db = away.db
    assert (await page(away, token=read))["drainwatch_database_up", ()] == 0
    there._db = gone

    shown = await page(away, token=read)

    assert shown["drainwatch_database_up", ()] == 0
    assert ("drainwatch_answers_total", (("status", "204"),)) in shown
    assert not any(name.startswith(("drainwatch_stage_", "drainwatch_drain_")) for name, _ in shown)
    assert (await away("GET", "/metrics", token="dw_never_seen")).status_code == 503
    assert (await away("GET", "/v1/events", token=read)).status_code == 503


async def test_a_revoked_token_is_refused_at_once_and_not_remembered(ask: Asking) -> None:
    token, read = await access.create(ask.db, name="prometheus", scope="read")
    checking = Access(ask.db, admin_token=None)
    await checking.check(f"Bearer {read}", access.Scope.READ, remembered=True)
    await access.revoke(ask.db, token.id)

    assert (await ask("GET", "/metrics", token=read)).status_code == 401
    with pytest.raises(access.Refused):
        await checking.check(f"Bearer {read}", access.Scope.READ, remembered=True)
    checking._db = Database.open(NOWHERE)
    with pytest.raises(access.StoreAway):
        await checking.check(f"Bearer {read}", access.Scope.READ, remembered=True)


async def test_the_admin_tokens_owner_sees_them_without_any_database(away: Asking) -> None:
    assert (await page(away))["drainwatch_database_up", ()] == 0
