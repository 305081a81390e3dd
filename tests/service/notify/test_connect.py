"""The way out over real sockets. What stands for DNS is an argument; no name is asked for outside this machine."""

import asyncio
import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from receiver import Receiver, Script, answer, nonsense, reset, silence, silence_after_status
from service.notify.connect import Answer, WayOut
from service.notify.names import SystemNames

from .outbox import SYSTEM_TLS

# A certificate for hooks.example.test, valid from 2020 to 2120, that signs itself.
CERTIFICATE = Path(__file__).parent / "hooks.example.test.pem"


class Names:
    """Names that lead where a test says; `asked` counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def post(
    url: str,
    *,
    names: Names | None = None,
    tls: ssl.SSLContext | None = None,
    allow_private: bool = True,
    seconds: float = 5.0,
    body: bytes = b"{}",
) -> Answer:
    async with WayOut(resolve=names.resolve if names else None, tls=tls or SYSTEM_TLS) as way_out:
        return await way_out.post(
            url, body, {"Content-Type": "application/json"}, allow_private=allow_private, seconds=seconds
        )


async def posted_to(script: Script, *, seconds: float = 5.0) -> Answer:
    async with Receiver([script]) as receiver:
        return await post(receiver.url, seconds=seconds)


async def test_a_post_arrives_as_it_was_given_with_the_host_of_the_url() -> None:
    async with Receiver([answer(200, body=b"thanks")]) as receiver:
        got = await post(
            f"http://hooks.example.test:{receiver.port}/a%20b?c=d", names=Names(["127.0.0.1"]), body=b'{"x":1}'
        )

    request = receiver.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/a%20b?c=d", b'{"x":1}')
    assert request.headers["host"] == f"hooks.example.test:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert (got.status, got.error, got.text) == (200, None, "thanks")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0"],
)
async def test_no_spelling_of_a_loopback_address_is_connected_to(host: str) -> None:
    async with Receiver() as receiver:
        got = await post(f"http://{host}:{receiver.port}/", allow_private=False)

    assert got.status is None
    assert got.error is not None
    assert got.error.startswith("refused: the host's name leads to ")
    assert receiver.requests == []


async def test_a_name_is_resolved_once_and_a_second_answer_of_dns_changes_nothing() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with Receiver() as receiver:
        got = await post(f"http://rebind.example.test:{receiver.port}/", names=names)

    assert got.status == 204
    assert names.asked == ["rebind.example.test"]


async def test_a_name_that_turns_private_is_refused_at_the_next_post() -> None:
    names = Names(["127.0.0.1"])
    async with Receiver() as receiver, WayOut(resolve=names.resolve, tls=SYSTEM_TLS) as way_out:
        url = f"http://turns.example.test:{receiver.port}/"
        allowed = await way_out.post(url, b"", {}, allow_private=True, seconds=5)
        refused = await way_out.post(url, b"", {}, allow_private=False, seconds=5)

    assert (allowed.status, refused.status) == (204, None)
    assert len(receiver.requests) == 1


async def test_a_name_with_private_addresses_alone_is_refused() -> None:
    names = Names(["10.0.0.1", "192.168.0.1", "fe80::1"])
    got = await post("http://mixed.example.test/", names=names, allow_private=False)

    assert (
        got.error == "refused: the host's name leads to a private address, and the endpoint does not allow private ones"
    )


async def test_the_next_address_is_tried_when_the_first_refuses() -> None:
    async with Receiver() as receiver:
        got = await post(f"http://two.example.test:{receiver.port}/", names=Names(["127.0.0.2", "127.0.0.1"]))

    assert got.status == 204


async def test_tls_keeps_the_name_of_the_url_for_sni_and_certificate() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    named: list[str | None] = []
    server.sni_callback = lambda _connection, name, _context: named.append(name)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    async with Receiver(tls=server) as receiver:
        got = await post(f"https://hooks.example.test:{receiver.port}/", names=Names(["127.0.0.1"]), tls=trusting)

    assert (got.status, got.error) == (204, None)
    assert named == ["hooks.example.test"]


async def test_a_certificate_for_another_name_is_refused_and_the_name_not_repeated() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    async with Receiver(tls=server) as receiver:
        got = await post(f"https://canary.example.test:{receiver.port}/", names=Names(["127.0.0.1"]), tls=trusting)

    assert (got.status, got.error) == (None, "TLS: the certificate is for another name")
    assert receiver.requests == []


async def test_a_certificate_that_nobody_signed_is_refused() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    async with Receiver(tls=server) as receiver:
        got = await post(f"https://hooks.example.test:{receiver.port}/", names=Names(["127.0.0.1"]))

    assert got.status is None
    assert got.error is not None
    assert got.error.startswith("TLS: the certificate is not trusted: self")


async def test_https_to_a_receiver_without_tls_says_so() -> None:
    async with Receiver([nonsense]) as receiver:
        got = await post(f"https://127.0.0.1:{receiver.port}/")

    assert got.status is None
    assert got.error is not None
    assert got.error.startswith("TLS: the handshake failed")


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver() as inner, Receiver([answer(301, {"Location": inner.url})]) as receiver:
        got = await post(receiver.url)

    assert got.status == 301
    assert inner.requests == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        got = await post(receiver.url)

    assert got.status == 204
    assert proxy.requests == []


async def test_of_a_huge_answer_one_kib_is_read_and_kept() -> None:
    got = await posted_to(answer(500, body=b"x" * 10_000_000))

    assert got.status == 500
    assert got.text == "x" * 1024
    assert got.ms < 1000


async def test_an_answer_that_is_not_utf_8_is_kept_readable_and_without_nul() -> None:
    got = await posted_to(answer(400, body=b"bad \xff\xfe \0 end"))

    assert got.text == "bad \ufffd\ufffd \ufffd end"


async def test_a_receiver_that_never_answers_costs_the_time_limit_and_no_more() -> None:
    async with Receiver([silence]) as receiver, asyncio.timeout(60):
        got = await post(receiver.url, seconds=0.3)

    assert (got.status, got.error) == (None, "no answer within 0.3 s")
    assert len(receiver.requests) <= 1  # none where the machine took that long to connect


async def test_a_status_counts_though_the_answer_s_body_never_comes() -> None:
    got = await posted_to(silence_after_status, seconds=1.0)

    assert (got.status, got.error, got.text) == (200, None, "")


async def test_a_connection_that_breaks_is_an_error_in_words() -> None:
    got = await posted_to(reset)

    assert (got.status, got.error) == (None, "the connection broke: Connection reset by peer")


async def test_an_answer_that_is_not_http_is_an_error_in_words() -> None:
    got = await posted_to(nonsense)

    assert got.error == "the answer was not HTTP, or the connection was closed before it came"


async def test_a_port_where_nobody_listens_is_an_error_in_words() -> None:
    async with Receiver() as receiver:
        url = receiver.url
    got = await post(url)

    assert got.error == "could not connect: Connection refused"


async def test_a_name_that_does_not_exist_is_an_error_that_does_not_repeat_it() -> None:
    async def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with WayOut(resolve=unknown, tls=SYSTEM_TLS) as way_out:
        got = await way_out.post("http://canary.example.test/canary", b"", {}, allow_private=False, seconds=5)

    assert (got.status, got.error) == (None, "the host's name could not be resolved: Name or service not known")


@pytest.mark.parametrize("script", [reset, nonsense, silence, answer(500), answer(302, {"Location": "http://canary/"})])
async def test_nothing_of_the_url_is_in_an_error_or_in_the_log(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Receiver([script]) as receiver:
        url = f"http://canary.example.test:{receiver.port}/canary?canary=canary"
        got = await post(url, names=Names(["127.0.0.1"]), seconds=0.3)

    assert "canary" not in (got.error or "")
    assert "canary" not in caplog.text


async def test_a_slow_name_is_asked_for_once_at_a_time_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    system, asked, answers = socket.getaddrinfo, [], threading.Event()

    def look_up(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        if host != "slow.example.test":
            return system(host, *args, **options)
        answers.wait(60)  # as where a DNS server is silent
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    names = SystemNames()
    slow = [asyncio.create_task(names.resolve("slow.example.test")) for _ in range(100)]
    async with asyncio.timeout(30):
        assert await names.resolve("127.0.0.1") == ["127.0.0.1"]
    assert not any(one.done() for one in slow)

    answers.set()
    assert await asyncio.gather(*slow) == [["127.0.0.1"]] * 100
    assert asked.count("slow.example.test") == 1


async def test_who_gives_up_on_a_name_takes_it_from_nobody_else() -> None:
    names = SystemNames()
    first, second = (asyncio.create_task(names.resolve("127.0.0.1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == ["127.0.0.1"]
