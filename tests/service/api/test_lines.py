from keeping import keep
from vocabulary import message, router_line

from .conftest import Asking


async def test_a_line_has_its_one_shape(ask: Asking) -> None:
    await keep(ask.db, "shop", message("app", "web.1", "hello  world ", "12:00:00.5"), environment="staging")

    (line,) = (await ask.get("/v1/lines"))["items"]

    assert line.pop("id")
    assert line.pop("received_at").endswith("Z")
    assert line == {
        "ts": "2026-05-11T12:00:00.500000Z",
        "app": "shop",
        "environment": "staging",
        "source": "app",
        "process": "web.1",
        "dyno": "web.1",
        "message": "hello  world ",
    }


async def test_lines_are_filtered_and_paged(ask: Asking) -> None:
    await keep(
        ask.db, "shop", *(message("app", "web.1", str(n), f"12:0{n}") for n in range(5)), router_line(dyno="x.1")
    )

    first = await ask.get("/v1/lines", dyno="web.1", since="2026-05-11T12:01:00Z", limit="3")
    second = await ask.get(
        "/v1/lines", dyno="web.1", since="2026-05-11T12:01:00Z", limit="3", cursor=first["next_cursor"]
    )

    assert [line["message"] for line in first["items"] + second["items"]] == ["4", "3", "2", "1"]
    assert second["next_cursor"] is None
    assert len({line["id"] for line in first["items"] + second["items"]}) == 4


async def test_a_filter_asks_of_lines_what_it_asks_of_events(ask: Asking) -> None:
    await keep(ask.db, "shop", message("app", "web.1", "Payment declined"), router_line(status="404", service="7ms"))

    for q, expected in (("DECLINED", 1), ("status:404 service_ms<8", 1), ("-declined -status:404", 0), ("", 2)):
        assert len((await ask.get("/v1/lines", q=q))["items"]) == expected, q
