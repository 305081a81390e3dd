from parsers.catalogue import CODES

from .conftest import Asking


async def test_every_code_is_listed_with_what_to_do_first(ask: Asking) -> None:
    found = await ask.get("/v1/codes")
    assert [one["code"] for one in found["items"]] == list(CODES)
    assert found["next_cursor"] is None
    by_code = {one["code"]: one for one in found["items"]}
    assert by_code["H12"]["severity"] == "error"
    assert by_code["H14"]["remedy"] == "`heroku ps:scale web=1`"
    assert by_code["H28"]["remedy"] is None


async def test_the_list_takes_no_parameter(ask: Asking) -> None:
    assert (await ask("GET", "/v1/codes", params={"code": "H12"})).status_code == 400
