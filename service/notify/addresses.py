"""Which addresses a webhook may go to: those that the whole internet can reach, so that nobody can use drainwatch to
talk to what stands beside it (a cloud's metadata service, a database, the router of an office).

Addresses are judged by drainwatch's own tables and not by `ipaddress.is_global`, whose answers changed between patch
releases of Python. What is not judged here by name is judged again when its addresses are known (`connect.py`).
"""

import ipaddress
import re
import socket

import httpx

from service.errors import Refused

# IANA IPv4 Special-Purpose Address Registry, with the multicast and reserved blocks; the more special first.
_V4 = [
    (ipaddress.IPv4Network(block), name)
    for block, name in (
        ("0.0.0.0/32", "the unspecified address"),
        ("0.0.0.0/8", "an address of this very network"),
        ("127.0.0.0/8", "a loopback address"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("169.254.0.0/16", "a link-local address"),
        ("100.64.0.0/10", "an address behind a carrier's NAT"),
        ("192.0.0.0/24", "an address for protocols"),
        ("192.0.2.0/24", "an address for documentation"),
        ("198.51.100.0/24", "an address for documentation"),
        ("203.0.113.0/24", "an address for documentation"),
        ("192.88.99.0/24", "a 6to4 relay's address"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
]
# IPv6: only 2000::/3 is given out as globally routable (RFC 4291 §2.4, RFC 3587), and some of it is not.
_V6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_V6 = [
    (ipaddress.IPv6Network(block), name)
    for block, name in (
        ("2001::/32", "a Teredo address"),
        ("2001::/23", "an address for protocols"),
        ("2001:db8::/32", "an address for documentation"),
        ("3fff::/20", "an address for documentation"),
        ("2002::/16", "a 6to4 address"),
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4 address written as IPv6"),
        ("::ffff:0:0:0/96", "an IPv4 address written as IPv6"),
        ("::/96", "an IPv4 address written as IPv6"),
        ("64:ff9b::/96", "an address behind NAT64"),
        ("64:ff9b:1::/48", "an address behind NAT64"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}")
_HOST = re.compile(rb"[0-9A-Za-z._-]*[0-9A-Za-z][.]?|[0-9A-Fa-f:.]+(%.*)?")
_EXPECTED = "an http or https URL of a host on the public internet"


def why_not_public(address: str) -> str | None:
    """What `address` (IPv4 or IPv6, as `getaddrinfo` writes it) is instead of globally routable; None if it is.

    The answer is a noun for a sentence ("a loopback address") and does not repeat the address.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no IP address"
    if isinstance(ip, ipaddress.IPv4Address):
        return next((name for block, name in _V4 if ip in block), None)
    special = next((name for block, name in _V6 if ip in block), None)
    return special or (None if ip in _V6_GLOBAL else "a reserved address")


def check_url(url: str, *, allow_private: bool) -> None:
    """Raises Refused(400, parameter "url") for a URL that no webhook can be sent to, or may not, as far as that is plain
    without asking DNS. The message never repeats the URL: its path is often a secret.
    """
    scheme = _SCHEME.match(url)
    if scheme is None or not url[scheme.end() :].startswith("://"):
        raise _refused("the URL does not begin with a scheme", 'write it out, as in "https://example.com/hook"')
    if scheme[0].lower() not in ("http", "https"):
        raise _refused(f'the URL\'s scheme is "{scheme[0]}"', 'webhooks go to "https://" or "http://"')
    parsed = _parsed(url)
    if parsed.userinfo:
        raise _refused(
            "the URL holds a user name or a password", "leave them out; the receiver knows drainwatch by the signature"
        )
    host = parsed.raw_host.decode("ascii").rstrip(".")
    what = None if allow_private else _why_plainly_not_public(host)
    if what is not None:
        raise _refused(
            f"the URL's host is {what}", 'set "allow_private" if it is meant to stay within your own network'
        )


def shown_url(url: str) -> str:
    """`url` as it may be shown: scheme, host and port, and `/…` for a path or query, which are often the secret itself."""
    scheme = url.partition("://")[0]
    if scheme.lower() not in ("http", "https"):  # one of Apprise's own, which has its credentials anywhere
        return f"{scheme}://…"
    parsed = httpx.URL(url)
    rest = parsed.raw_path.decode("ascii")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{'/…' if rest != '/' else '/'}"


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        parsed = None
    # httpx takes more than a socket does: a host with spaces, a port of any size.
    if parsed is not None and _HOST.fullmatch(parsed.raw_host) and (parsed.port is None or 0 < parsed.port < 65536):
        return parsed
    raise _refused("the URL cannot be read", "look for spaces, a wrong port, a missing or a wrong host name in it")


def _why_plainly_not_public(host: str) -> str | None:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 §6.3
        return "this machine itself"
    if ":" in host:
        return why_not_public(host)
    try:
        # As `getaddrinfo` would: 127.1, 2130706433, 0x7f000001 and 0177.0.0.1 are all 127.0.0.1.
        return why_not_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return None


def _refused(detail: str, remedy: str) -> Refused:
    return Refused(400, f"{detail}; expected {_EXPECTED}: {remedy}", parameter="url", expected=_EXPECTED)
