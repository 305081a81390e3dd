from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.notify.signature import live_secrets, new_secret, signature_headers

BODY = '{"type":"incident.opened","data":{"title":"naïve ✓"}}'.encode()


def headers(*secrets: str, body: bytes = BODY) -> dict[str, str]:
    return signature_headers("0190a3", body, secrets=secrets, at=datetime.now(UTC))


def test_a_receiver_with_the_standard_library_of_the_specification_accepts_the_signature() -> None:
    secret = new_secret()

    assert Webhook(secret).verify(BODY, headers(secret))["type"] == "incident.opened"


def test_a_changed_body_an_other_id_and_an_other_secret_are_not_accepted() -> None:
    secret = new_secret()
    signed = headers(secret)

    for changed, sent, key in (
        (BODY + b" ", signed, secret),
        (BODY, {**signed, "webhook-id": "0190a4"}, secret),
        (BODY, signed, new_secret()),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(changed, sent)


def test_both_secrets_verify_while_two_are_live() -> None:
    old, new = new_secret(), new_secret()
    signed = headers(new, old)

    Webhook(old).verify(BODY, signed)
    Webhook(new).verify(BODY, signed)


def test_the_previous_secret_signs_until_its_overlap_is_over() -> None:
    until = datetime(2026, 5, 12, 12, tzinfo=UTC)

    assert live_secrets("new", "old", until, until - timedelta(seconds=1)) == ("new", "old")
    assert live_secrets("new", "old", until, until) == ("new",)
    assert live_secrets("new", None, None, until) == ("new",)


def test_the_signature_is_the_one_of_the_specification_s_example() -> None:
    # Standard Webhooks, the test vector of its reference libraries.
    signed = signature_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        at=datetime.fromtimestamp(1614265330, UTC),
    )

    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_prefixed_base64_of_32_bytes_and_never_the_same() -> None:
    assert new_secret().startswith("whsec_")
    assert len(new_secret()) == len("whsec_") + 44
    assert new_secret() != new_secret()
