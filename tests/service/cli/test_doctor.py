from keeping import drain_of
from service.housekeeping import say_alive
from service.notify import endpoints
from service.store.database import Database

from .conftest import Run


async def test_the_doctor_says_what_is_wrong_and_what_to_type_and_ends_with_1(here: Run) -> None:
    ran = await here("doctor")

    assert ran.status == 1
    assert "there is no drain" in ran.out
    assert "drainwatch drain add APP --environment production" in ran.out
    assert (await here("doctor", "--json")).json()["findings"][0]["name"] == "no_worker"


async def test_where_all_is_well_the_doctor_ends_with_0(here: Run, emptied_url: str, monkeypatch: object) -> None:
    db = Database.open(emptied_url)
    await say_alive(db, "one")
    await endpoints.add(db, url="https://hooks.example.com/x", format="standard", match="", allow_private=False)
    await drain_of(db, "shop")
    await db.close()
    monkeypatch.setenv("DRAINWATCH_PUBLIC_URL", "https://logs.example.com")  # type: ignore[attr-defined]

    ran = await here("doctor")

    assert (ran.status, "all is well" in ran.err) == (0, True), ran
    assert "1 worker" in ran.err
