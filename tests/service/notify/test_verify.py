import json
from datetime import UTC, datetime, timedelta

import pytest

from service.notify.signature import new_secret, signature_headers
from service.notify.verify import findings, read_headers

NOW = datetime(2026, 5, 11, 12, tzinfo=UTC)
SECRET, OTHER = new_secret(), new_secret()
BODY = '{"type":"incident.opened","data":{"incident":{"title":"größer","count":2}}}'.encode()
HEADERS = signature_headers("msg_1", BODY, secrets=[SECRET], at=NOW)


def found(body: bytes = BODY, *, secret: str = SECRET, now: datetime = NOW, **headers: str | None) -> list[str]:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    said = {name: value for name, value in {**HEADERS, **changed}.items() if value is not None}
    return findings(body, said, secret, now=now)


def test_with_a_request_as_it_was_sent_nothing_is_wrong() -> None:
    assert found() == []
    assert found(now=NOW + timedelta(seconds=299)) == []


def test_during_a_rotation_either_secret_is_right() -> None:
    both = signature_headers("msg_1", BODY, secrets=[OTHER, SECRET], at=NOW)

    assert findings(BODY, both, SECRET, now=NOW) == findings(BODY, both, OTHER, now=NOW) == []


def test_an_old_request_is_stale_and_one_from_the_future_a_wrong_clock() -> None:
    [stale] = found(now=NOW + timedelta(hours=1))
    [ahead] = found(now=NOW - timedelta(hours=1))

    assert stale.startswith("the timestamp is stale: 2026-05-11 12:00:00 UTC, 3600 s ago; a receiver takes 300 s")
    assert ahead.startswith("the timestamp lies 3600 s ahead")
    assert findings(BODY, HEADERS, SECRET, now=NOW + timedelta(hours=1), any_time=True) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BODY + b"\n", "a newline was added at its end"),
        (json.dumps(json.loads(BODY), indent=2).encode(), "it was read as JSON and written anew"),
        (BODY.decode("latin-1").encode(), "its bytes were taken for Latin-1"),
    ],
)
def test_what_usually_happens_to_a_body_is_recognised(body: bytes, reason: str) -> None:
    [said] = found(body)

    assert said.startswith(f"the body was changed: {reason}")


def test_a_wrong_secret_and_any_other_change_are_said_together_since_nobody_can_tell_them_apart() -> None:
    for said in (found(secret=OTHER), found(BODY.replace(b"2", b"3")), found(webhook_id="msg_2")):
        assert len(said) == 1
        assert said[0].startswith("no signature fits: the secret is wrong")
        assert "was changed" in said[0]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"webhook_id": None}, "there is no header webhook-id; expected all of"),
        ({"webhook_timestamp": "yesterday"}, "webhook-timestamp is 'yesterday'; expected whole seconds"),
        ({"webhook_signature": "sha256=ab"}, "webhook-signature is 'sha256=ab'; expected \"v1,\""),
    ],
)
def test_a_header_that_is_missing_or_cannot_be_read_is_named(headers: dict[str, str | None], said: str) -> None:
    assert found(**headers)[0].startswith(said)


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_***"])
def test_what_is_no_secret_is_said_and_not_repeated(secret: str) -> None:
    [said] = found(secret=secret)

    assert said.startswith("the secret is none")
    assert "hunter2" not in said


def test_headers_are_read_as_a_request_has_them_or_as_json() -> None:
    expected = {"host": "x:1", "webhook-id": "msg_1"}

    assert read_headers("Host: x:1\r\nWebhook-Id:  msg_1\r\n\r\n") == expected
    assert read_headers('{"Host": "x:1", "Webhook-Id": "msg_1"}') == expected
    assert read_headers("POST /hook HTTP/1.1\r\nHost: x:1\nWebhook-Id: msg_1").items() >= expected.items()
    assert read_headers("{") == {}
