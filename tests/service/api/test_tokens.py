from .conftest import Asking


async def test_a_made_token_is_shown_once_and_works_until_it_is_revoked(ask: Asking) -> None:
    answer = await ask("POST", "/v1/tokens", json={"name": "grafana", "scope": "read"})
    made = answer.json()
    token = made.pop("token")

    used = await ask("GET", "/v1/errors", token=token)
    (listed,) = (await ask.get("/v1/tokens"))["items"]
    revoked = await ask("DELETE", f"/v1/tokens/{made['id']}")
    refused = await ask("GET", "/v1/errors", token=token)

    assert (answer.status_code, used.status_code, revoked.status_code, refused.status_code) == (201, 200, 204, 401)
    assert token not in str(listed)
    assert listed["used_at"]
    assert (await ask.get("/v1/tokens"))["items"] == []


async def test_a_wrong_name_or_scope_is_400(ask: Asking) -> None:
    for values, parameter in (
        ({"name": "x", "scope": "root"}, "scope"),
        ({"name": "x"}, "scope"),
        ({"scope": "read"}, "name"),
        ({"name": " ", "scope": "read"}, "name"),
        ({"name": "x" * 101, "scope": "read"}, "name"),
    ):
        answer = await ask("POST", "/v1/tokens", json=values)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter), values
