from datetime import UTC, datetime, timedelta

from keeping import keep
from service.store.database import Database
from vocabulary import api, crash, message, router_line, up

from .conftest import Run

AGO = datetime.now(UTC) - timedelta(minutes=20)
STARTED = "INFO console.flags: console.flag.promotion.started promotion_id=42 flag_key=new_checkout state=deploying"


async def test_how_things_stand_is_a_table_for_people_and_the_apis_answer_for_programs(
    here: Run, emptied_url: str
) -> None:
    assert "drainwatch drain add" in (await here("apps")).out
    db = Database.open(emptied_url)
    deployed = (api("Deploy 193d1419", AGO), api("Release v42 created", AGO))
    await keep(db, "shop", *deployed, up("web.1", AGO), crash("web.2", AGO), message("app", "web.1", STARTED, AGO))
    await keep(db, "shop", router_line(AGO, service="18ms"), router_line(AGO, code="H12", service="30000ms"))
    await db.close()

    for command, expected in (
        (("apps",), "shop production v42 1 crashed, 1 up"),
        (("dynos", "--state", "crashed"), "shop web.2 crashed – 1 crash"),
        (("releases", "--app", "shop"), "shop v42 user@example.com Deploy 193d1419"),
        (("promotions",), "42 new_checkout – deploying –"),
        (("traffic", "--bucket", "1h", "--since", "1h"), "2 1 15,"),
    ):
        shown, answered = await here(*command), await here(*command, "--json")
        words = " ".join(shown.out.split())
        assert all(word in words for word in expected.split()), words
        assert (shown.status, answered.status, bool(answered.json()["items"])) == (0, 0, True)


async def test_a_wrong_bucket_is_one_line_and_status_1(here: Run) -> None:
    ran = await here("traffic", "--bucket", "30s")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "whole minutes" in ran.err
