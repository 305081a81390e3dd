"""Redaction: credentials out, everything else as it was."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.redact import REDACTED, Redaction

USUAL = Redaction()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"


def masked(text: str, redaction: Redaction = USUAL) -> str:
    return redaction.masked(text.encode()).decode()


# The secret stands between « and ».
SECRETS = [
    "password=«hunter2» user=7",
    'DB_PASSWORD="«two words»" next=1',
    "PASSWD='«x»'",
    "password = «hunter2»",
    "connection Server=db;Password=«abc»;Database=x",
    "User(name=joe, password=«abc», id=7)",
    "password=«a,b,c» next",
    '{"password": "«x\\"y»", "id": 1}',
    '{"msg":"{\\"password\\":\\"«hunter2»\\"}"}',
    'Parameters: {"user"=>{"password"=>"«s3cret»"}}',
    ":api_key=>'«s3cret»'",
    "client_secret=«abc»",
    "SECRET_KEY_BASE: «abcdef0123»",
    "AWS_SECRET_ACCESS_KEY=«abc/def+1»",
    "api_key=«abc»",
    "apikey=«abc»",
    "x-api-key: «abc»",
    "access_key=«abc»",
    "HEROKU_API_TOKEN=«abc»",
    "refresh_token=«abc»",
    "php artisan --token=«abc»",
    "Authorization: «Bearer abc.DEF-123» done",
    'authorization="«Basic dXNlcjpwYXNz»"',
    "Authorization: «Token abc»",
    "header Bearer «abc.DEF-123»",
    "Basic «dXNlcjpwYXNz»",
    "DATABASE_URL is postgres://user:«p4ss»@db.example.com:5432/x",
    "redis://:«p4ss»@host:6379",
    "key AKIA«IOSFODNN7EXAMPLE» used",
    "ghp_«0123456789abcdefghijABCDEFGHIJ012345»",
    "gho_«0123456789abcdefghijABCDEFGHIJ012345»",
    "github_pat_«11AAAAAAA0abcdefghijklmnop»",
    "sk_live_«abcdEFGH1234»",
    "xoxb-«123456-abcdef»",
    "HRKU-«AAAA_0123456789abcdefghij-xyz»",
    f"session eyJ«{JWT[3:]}» seen",
    "-----BEGIN RSA PRIVATE KEY-----«\nMIIB\n»-----END RSA PRIVATE KEY-----",
    'path="/reset?token=«abc»&page=2&sig=«zz»" host=a',
    "curl https://s3.example.com/x?X-Amz-Credential=«a/b»&X-Amz-Signature=«c»",
    "GET /maps?key=«abc» 200",
]
HARMLESS = [
    "challenge_hash=3fa94c1b request_id=bf6476e1-ab1b-20f1-b4b8-dcb74b959e3d",
    "Set SESSION_SECRET, API_KEY config vars by user user@example.com",
    "flag_key=new_checkout cache_key=users/7 sort_key=name",
    "tokens=512 prompt_tokens: 7 token_count=3",
    "password_digest=9 secret_id=5 reset_password=",
    "Basic authentication failed; bearer token expired",
    'path="/api/auth/register/verify-with-token" host=example.com request_id=a',
    '{"password": null, "token": false}',
    "https://example.com/a:b@c",
    "http://localhost:3000/x?page=2&keyword=z",
    "Unexpected token } in JSON",
    'Parameters: {"user"=>{"password"=>"[FILTERED]"}} token=[FILTERED]',
    "task-xoxo high light github_pattern broken",
    'fwd="203.0.113.9" user@example.com',
]


@pytest.mark.parametrize("marked", SECRETS)
def test_a_secret_is_masked_and_nothing_else(marked: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    assert masked(text) == re.sub("«.*?»", "[redacted]", marked, flags=re.DOTALL)
    assert USUAL.suspects(text.encode())


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left(text: str) -> None:
    assert masked(text) == text


def test_what_was_masked_stays_as_it_is() -> None:
    for marked in SECRETS:
        once = masked(marked.replace("«", "").replace("»", ""))
        assert masked(once) == once
    assert not USUAL.suspects(b'password="[redacted]" postgres://u:[redacted]@h /x?sig=[redacted]')


def test_a_bare_json_value_is_masked_as_json() -> None:
    assert masked('{"pin_secret": 1234, "a": 1}') == '{"pin_secret": "[redacted]", "a": 1}'


def test_an_open_quote_is_masked_to_the_end_of_a_line_that_was_cut() -> None:
    assert masked('{"a": 1, "password": "hunt') == '{"a": 1, "password": "[redacted]'


def test_addresses_are_masked_only_where_that_is_asked_for() -> None:
    text = 'at=info path="/" host=a fwd="203.0.113.9, 198.51.100.1" dyno=web.1 fwd=203.0.113.9 x'
    assert masked(text) == text
    assert masked(text, Redaction(fwd=True)) == 'at=info path="/" host=a fwd="[redacted]" dyno=web.1 fwd=[redacted] x'


def test_names_in_query_strings_can_be_chosen() -> None:
    chosen = Redaction(query_names=("session",))
    assert masked("/x?key=a&Session=b&page=1", chosen) == "/x?key=a&Session=[redacted]&page=1"


def test_nothing_is_masked_where_redaction_is_off() -> None:
    off = Redaction(credentials=False, query_names=())
    assert masked("password=hunter2 /x?token=a", off) == "password=hunter2 /x?token=a"


def test_a_private_key_that_comes_line_by_line_is_masked_with_all_its_lines() -> None:
    def lines(*texts: tuple[bytes, bytes]) -> tuple[list[bytes], list[bytes]]:
        return [process for process, _ in texts], [b"<190>1 - host app %s - %s\n" % text for text in texts]

    processes, messages = lines(
        (b"web.1", b"-----BEGIN PRIVATE KEY-----"),
        (b"web.1", b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        (b"web.2", b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        (b"web.1", b"BKcwggSjAgEAAoIBAQ=="),
        (b"web.1", b"-----END PRIVATE KEY-----"),
        (b"web.1", b"word"),
    )
    done = [one.split(b" - ", 2)[2].removesuffix(b"\n") for one in USUAL.masked_messages(processes, messages)]
    assert done == [
        b"-----BEGIN PRIVATE KEY-----",
        REDACTED,
        b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        REDACTED,
        b"-----END PRIVATE KEY-----",
        b"word",
    ]


PIECES = [
    "password",
    "=",
    ":",
    '"',
    "'",
    "\\",
    " ",
    "token",
    "Bearer",
    "://",
    "@",
    "?key",
    "&sig",
    "eyJ",
    "a.b",
    "xoxb-",
    "\n",
    "secret",
    "é",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join))
def test_masking_twice_is_masking_once_and_what_is_masked_was_suspected(text: str) -> None:
    raw = text.encode()
    once = USUAL.masked(raw)
    assert USUAL.masked(once) == once
    assert once == raw or USUAL.suspects(raw)


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.just("nothing"), max_size=50))
def test_messages_that_are_looked_at_together_are_masked_as_each_alone(texts: list[str]) -> None:
    messages = [f"<190>1 - host app web.1 - {text}".encode() for text in texts]

    done = USUAL.masked_messages([b"web.1"] * len(messages), messages)

    assert done == [b"<190>1 - host app web.1 - " + USUAL.masked(text.encode()) for text in texts]


@pytest.mark.parametrize("before", [0, 7, 15, 16, 40])
def test_a_private_key_is_masked_wherever_among_others_it_begins(before: int) -> None:
    key = [
        b"-----BEGIN RSA PRIVATE KEY-----",
        *[b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"] * 40,
        b"-----END RSA PRIVATE KEY-----",
    ]
    messages = [b"<190>1 - host app web.1 - " + text for text in [*[b"a word"] * before, *key, b"word"]]

    done = b"\n".join(USUAL.masked_messages([b"web.1"] * len(messages), messages))

    assert done.count(REDACTED) == 40
    assert b"MIIE" not in done
