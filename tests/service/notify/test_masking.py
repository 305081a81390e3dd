import pytest

from service.notify.masking import masked, secrets_of

URL = "https://hooks.example.com/services/T0/canary%20x?token=abcdefgh&v=1"
SECRETS = secrets_of(URL, "routing-key", None)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Cannot POST /services/T0/canary%20x?token=abcdefgh&v=1", "Cannot POST …"),
        (f"{URL} is gone", "… is gone"),
        ("no hook canary x here", "no hook … here"),
        ('{"error": "abcdefgh is no token"}', '{"error": "… is no token"}'),
        ("bad routing-key", "bad …"),
        ("the beginning of routin", "the beginning of …"),
        ("v1 of the services at T0 is well", "v1 of the services at T0 is well"),
        ("", ""),
    ],
)
def test_what_a_receiver_repeats_of_the_url_or_the_key_is_masked(answer: str, shown: str) -> None:
    assert masked(answer, SECRETS) == shown
