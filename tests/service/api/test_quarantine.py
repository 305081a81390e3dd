import base64

from keeping import keep
from vocabulary import message

from .conftest import Asking


async def test_what_could_not_be_parsed_is_listed_byte_for_byte_with_its_reason(ask: Asking) -> None:
    await keep(ask.db, "shop", b"garbage \xff\x00 ", message("app", "web.1", "good"))

    (found,) = (await ask.get("/v1/quarantine"))["items"]

    assert base64.b64decode(found["bytes"]) == b"garbage \xff\x00 "
    assert found["text"] == "garbage \ufffd\x00 "
    assert "byte 0" in found["reason"]
    assert (found["app"], len((await ask.get("/v1/lines"))["items"])) == ("shop", 1)


async def test_quarantine_is_filtered_and_paged(ask: Asking) -> None:
    for number in range(3):
        await keep(ask.db, "shop", b"bad%d" % number)
    await keep(ask.db, "blog", b"other")

    first = await ask.get("/v1/quarantine", app="shop", limit="2", since="1h")
    second = await ask.get("/v1/quarantine", app="shop", limit="2", cursor=first["next_cursor"])

    assert [one["text"] for one in first["items"] + second["items"]] == ["bad2", "bad1", "bad0"]
    assert second["next_cursor"] is None
    assert (await ask.get("/v1/quarantine", until="1h"))["items"] == []
