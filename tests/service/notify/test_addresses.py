import pytest

from service.errors import Refused
from service.notify.addresses import check_url, shown_url, why_not_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.5",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
    ],
)
def test_an_address_that_is_not_globally_routable_is_none_to_connect_to(address: str) -> None:
    assert why_not_public(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "2a00:1450:4001:81b::200e",
    ],
)
def test_an_address_of_the_public_internet_is_one_to_connect_to(address: str) -> None:
    assert why_not_public(address) is None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0",
        "10.1.2.3",
        "169.254.169.254",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "hooks.localhost",
        "[::1]",
        "[::]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fd00::1]",
    ],
)
def test_a_url_whose_host_is_plainly_private_is_refused_in_any_spelling(host: str) -> None:
    for url in (f"http://{host}/", f"https://{host}:8443/hook?x=1"):
        with pytest.raises(Refused) as refused:
            check_url(url, allow_private=False)
        assert (refused.value.status, refused.value.parameter) == (400, "url")
        assert "allow_private" in refused.value.detail
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/x",
        "//hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "https:hooks.example.com",
        "https://",
        "https:///hook",
        "https://user:word@hooks.example.com/x",
        "https://user@hooks.example.com/x",
        "http://hooks.example.com:99999/",
        "http://hooks.example.com:port/",
        "http://[::1/",
        "http://0177.0.0.1/",
        "http://hooks.example.com:0/",
        "http://hooks%2eexample.com/",
        "http://hooks example.com/",
        "http://hooks.example.com/\nHost: other",
        "http://hooks.example.com/\0",
        "http://hooks.example.com/\ud800",
        "http://hooks.example.com\ud800/",
    ],
)
def test_what_is_no_url_of_a_webhook_is_refused_also_where_private_ones_are_allowed(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, allow_private=True)

    assert (refused.value.status, refused.value.parameter) == (400, "url")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/services/T0/B0/x?y=z",
        "HTTPS://Hooks.Example.com",
        "http://8.8.8.8/",
        "https://[2606:4700::1111]:8443/",
        "https://bücher.example/haken",
        "https://localhost.example.com/",
    ],
)
def test_a_url_of_a_public_host_is_taken(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["ftp://h/canary", "http://canary:canary@h/", "http://127.0.0.1/canary", "canary", "http://h :canary/"]
)
def test_no_refusal_repeats_the_url(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, allow_private=False)

    assert "canary" not in f"{refused.value} {refused.value.detail} {refused.value.expected}"


def test_a_url_is_shown_as_far_as_its_host() -> None:
    assert shown_url("https://hooks.example.com:8443/services/canary?key=canary") == "https://hooks.example.com:8443/…"
    assert shown_url("https://hooks.example.com/?canary") == "https://hooks.example.com/…"
    assert shown_url("https://hooks.example.com") == "https://hooks.example.com/"
