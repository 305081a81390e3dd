import json

from .conftest import Asking

JSON = {"Content-Type": "application/json"}
URL = "https://hooks.example.com/services/secret"


async def test_an_added_webhook_shows_its_secret_once_and_its_url_as_far_as_the_host(ask: Asking) -> None:
    answer = await ask("POST", "/v1/webhooks", json={"url": URL, "match": "severity>=error"})

    assert answer.status_code == 201
    made = answer.json()
    assert made.pop("secret").startswith("whsec_")
    assert (made["format"], made["match"], made["types"], made["enabled"]) == (
        "standard",
        "severity>=error",
        None,
        True,
    )
    assert "services" not in made["url"]
    assert (await ask.get("/v1/webhooks"))["items"] == [made] == [await ask.get(f"/v1/webhooks/{made['id']}")]


async def test_a_wrong_webhook_is_400_and_its_member_named(ask: Asking) -> None:
    for values, parameter in (
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://example.com/\0"}, "url"),
        ({"url": "\ud800"}, "url"),
        ({"url": URL, "format": "morse"}, "format"),
        ({"url": URL, "types": ["x"]}, "types"),
        ({"url": URL, "types": "incident.opened"}, "types"),
        ({"url": URL, "match": "code:"}, "match"),
        ({"url": URL, "match": "a\0b"}, "match"),
        ({"url": URL, "allow_private": "yes"}, "allow_private"),
    ):
        answer = await ask("POST", "/v1/webhooks", content=json.dumps(values), headers=JSON)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter), (values, answer.text)


async def test_a_wrong_filter_is_told_with_its_column_and_what_was_expected(ask: Asking) -> None:
    said = (await ask("POST", "/v1/webhooks", json={"url": URL, "match": "code:H12 (app:shop"})).json()

    assert said["column"] >= 1
    assert said["expected"]


async def test_a_test_is_queued_and_listed_among_the_deliveries(ask: Asking) -> None:
    made = (await ask("POST", "/v1/webhooks", json={"url": URL})).json()

    answer = await ask("POST", f"/v1/webhooks/{made['id']}/test")

    assert answer.status_code == 202
    queued = answer.json()
    assert (queued["type"], queued["status"], queued["attempts"]) == ("webhook.test", "pending", [])
    assert queued["webhook_id"] == queued["id"]
    page = await ask.get(f"/v1/webhooks/{made['id']}/deliveries", limit="1")
    assert (page["items"], page["next_cursor"]) == ([queued], None)


async def test_a_disabled_webhook_says_why_and_cannot_be_tried(ask: Asking) -> None:
    made = (await ask("POST", "/v1/webhooks", json={"url": URL})).json()

    disabled = (await ask("PATCH", f"/v1/webhooks/{made['id']}", json={"enabled": False})).json()
    tried = await ask("POST", f"/v1/webhooks/{made['id']}/test")
    enabled = (await ask("PATCH", f"/v1/webhooks/{made['id']}", json={"enabled": True})).json()

    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "disabled by hand")
    assert tried.status_code == 409
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)


async def test_a_rotated_webhook_has_another_secret_and_a_removed_one_is_gone(ask: Asking) -> None:
    made = (await ask("POST", "/v1/webhooks", json={"url": URL})).json()

    rotated = (await ask("POST", f"/v1/webhooks/{made['id']}/rotate")).json()
    removed = await ask("DELETE", f"/v1/webhooks/{made['id']}")

    assert rotated["secret"] != made["secret"]
    assert rotated["previous_until"]
    assert removed.status_code == 204
    assert (await ask("GET", f"/v1/webhooks/{made['id']}")).status_code == 404
