"""Apps and dynos as the lines tell of them, whatever the order in which they came."""

from datetime import UTC, datetime, timedelta
from typing import Any

from keeping import drain_of, keep
from service.detect.rule_book import RuleBook
from service.incidents.watch import Watch
from tests.service.api.conftest import Asking
from vocabulary import api, boot_timeout, crash, exited, router_line, state, up

APP = "raxx-api-prod"
NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


async def dynos(ask: Asking, **params: Any) -> dict[str, str]:
    return {one["dyno"]: one["state"] for one in (await ask.get("/v1/dynos", **params))["items"]}


async def test_an_app_is_as_its_lines_say(ask: Asking) -> None:
    await keep(
        ask.db,
        APP,
        api("Deploy 193d1419", after(0)),
        api("Release v42 created", after(0)),
        api("Scaled to web@2:Standard-1X worker@1:Standard-1X", after(1)),
        api("Maintenance mode enabled", after(1)),
        up("web.1", after(2)),
        up("web.2", after(2)),
        boot_timeout("worker.1", after(3)),
        crash("worker.1", after(3), before="starting"),
    )
    watch = Watch(ask.db, RuleBook(), lambda app: "FLAG_", holder="one")
    while await watch.turn(datetime(2020, 1, 1, tzinfo=UTC)):
        pass
    [app] = (await ask.get("/v1/apps"))["items"]
    assert (app["app"], app["environment"], app["release"]["version"]) == (APP, "production", "v42")
    assert (app["formation"], app["maintenance"]) == ("web=2:standard-1x worker=1:standard-1x", True)
    assert app["dynos"] == {"up": 2, "crashed": 1}
    assert app["incidents"] == {"count": 1, "severity": "error"}
    assert datetime.now(UTC) - datetime.fromisoformat(app["heard_at"]) < timedelta(minutes=1)


async def test_an_app_that_was_never_heard_is_there_with_nothing_known(ask: Asking) -> None:
    await drain_of(ask.db, APP, "staging")
    assert (await ask.get("/v1/apps", environment="staging"))["items"] == [
        {
            "app": APP,
            "environment": "staging",
            "heard_at": None,
            "release": None,
            "formation": None,
            "maintenance": None,
            "dynos": {},
            "incidents": {"count": 0, "severity": None},
        }
    ]
    assert (await ask.get("/v1/apps", app="other"))["items"] == []


async def test_a_dyno_is_in_its_newest_state_also_when_older_lines_come_later(ask: Asking) -> None:
    await keep(ask.db, APP, up("web.1", after(5)))
    await keep(
        ask.db,
        APP,
        exited("web.1", 1, after(2)),
        crash("web.1", after(2)),
        state("web.1", "crashed", "starting", after(3)),
    )
    [dyno] = (await ask.get("/v1/dynos"))["items"]
    assert dyno == {
        "app": APP,
        "environment": "production",
        "dyno": "web.1",
        "process_type": "web",
        "state": "up",
        "since": after(5).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "exit_status": 1,
        "crashes": 1,
    }


async def test_dynos_are_listed_by_app_and_number_and_by_state(ask: Asking) -> None:
    await keep(ask.db, APP, *[up(name, NOON) for name in ("web.10", "web.9", "worker.1")], crash("web.2", NOON))
    await keep(ask.db, "another", up("web.1", NOON), environment="staging")
    assert list(await dynos(ask, app=APP)) == ["web.2", "web.9", "web.10", "worker.1"]
    assert await dynos(ask, state="crashed") == {"web.2": "crashed"}
    assert await dynos(ask, environment="staging") == {"web.1": "up"}


async def test_a_one_off_dyno_that_is_complete_is_listed_when_asked_for(ask: Asking) -> None:
    await keep(ask.db, APP, up("run.1234", NOON), state("run.1234", "up", "complete", after(1)), up("web.1", NOON))
    assert await dynos(ask) == {"web.1": "up"}
    assert await dynos(ask, state="complete") == {"run.1234": "complete"}


async def test_a_dyno_that_has_been_silent_for_two_days_of_its_app_is_no_more(ask: Asking) -> None:
    await keep(ask.db, APP, up("web.1", NOON - timedelta(days=3)), up("web.2", NOON - timedelta(days=1)))
    await keep(ask.db, APP, router_line(NOON))
    assert await dynos(ask) == {"web.2": "up"}


async def test_old_lines_count_by_their_apps_own_clock(ask: Asking) -> None:
    await keep(ask.db, APP, up("web.1", "2025-05-11T12:00:00+00:00"))
    assert await dynos(ask) == {"web.1": "up"}
