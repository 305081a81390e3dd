import json

from service.notify import notification

from .conftest import Asking

JSON = {"Content-Type": "application/json"}
TYPES = list(notification.TYPES)
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
        ({"url": URL, "min_severity": "loud"}, "min_severity"),
        ({"url": URL, "escalations": 1}, "escalations"),
        ({"url": URL, "repeat_s": 5}, "repeat_s"),
        ({"url": URL, "repeat_s": "30m"}, "repeat_s"),
        ({"url": URL, "quiet_hours": "22-7"}, "quiet_hours"),
        ({"url": URL, "format": "pagerduty"}, "routing_key"),
        ({"url": URL, "routing_key": "x"}, "routing_key"),
    ):
        answer = await ask("POST", "/v1/webhooks", content=json.dumps(values), headers=JSON)
        assert (answer.status_code, answer.json()["parameter"]) == (400, parameter), (values, answer.text)


async def test_all_that_an_endpoint_wants_is_shown_but_its_routing_key(ask: Asking) -> None:
    wants = {
        "format": "pagerduty",
        "min_severity": "error",
        "escalations": False,
        "repeat_s": 1800,
        "quiet_hours": "22:00-07:00 UTC",
    }
    made = await ask("POST", "/v1/webhooks", json={"url": URL, "routing_key": "canary", **wants})
    [shown] = (await ask.get("/v1/webhooks"))["items"]

    assert {name: shown[name] for name in wants} == wants
    assert (shown["failing_since"], shown["disabled_reason"]) == (None, None)
    assert "canary" not in made.text + str(shown)


async def test_what_a_webhook_wants_can_be_changed_and_the_rest_stays(ask: Asking) -> None:
    made = (await ask("POST", "/v1/webhooks", json={"url": URL, "match": "app:shop", "repeat_s": 600})).json()
    path = f"/v1/webhooks/{made['id']}"

    changed = (await ask("PATCH", path, json={"repeat_s": None, "min_severity": "error", "types": TYPES[:1]})).json()
    silenced = (await ask("PATCH", path, json={"enabled": False, "quiet_hours": "22:00-07:00 UTC"})).json()

    expected = {**made, "repeat_s": None, "min_severity": "error", "types": TYPES[:1]}
    expected.pop("secret")
    assert changed == expected
    assert (silenced["enabled"], silenced["quiet_hours"], silenced["match"]) == (False, "22:00-07:00 UTC", "app:shop")
    for wrong in ({}, {"url": URL}, {"match": "code:"}, {"min_severity": "loud"}, {"types": []}, {"enabled": None}):
        assert (await ask("PATCH", path, json=wrong)).status_code == 400, wrong
    assert (await ask("PATCH", "/v1/webhooks/999", json={"match": ""})).status_code == 404


async def test_a_delivery_that_is_done_with_can_be_sent_again_under_its_id(ask: Asking) -> None:
    made = (await ask("POST", "/v1/webhooks", json={"url": URL})).json()
    queued = (await ask("POST", f"/v1/webhooks/{made['id']}/test")).json()
    again = f"/v1/deliveries/{queued['id']}/redeliver"

    pending = await ask("POST", again)
    await ask("PATCH", f"/v1/webhooks/{made['id']}", json={"enabled": False})
    disabled = await ask("POST", again)
    await ask("PATCH", f"/v1/webhooks/{made['id']}", json={"enabled": True})
    sent = await ask("POST", again)

    assert [one.status_code for one in (pending, disabled, sent)] == [409, 409, 202]
    assert (sent.json()["webhook_id"], sent.json()["status"]) == (queued["webhook_id"], "pending")
    assert (await ask("POST", "/v1/deliveries/00000000-0000-7000-8000-000000000000/redeliver")).status_code == 404


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
