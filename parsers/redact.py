"""Credentials out of what is kept: a message → the same with `[redacted]` in the place of each secret.

Hard about it: nearly no line holds a secret, and every line must be looked at before the write. So each pattern begins
with one rare byte, or a literal, and looks back at what must stand before it: the regex engine skips to the next such
byte at 0.3 ns a byte, where an alternation of the same words costs 5 and `in`, once a word, 0.5 each. All match
lower-case text. Each is linear, whatever the text: what one attempt scans, the next does not begin in.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

REDACTED = b"[redacted]"

# Names in a query string (`?token=…&sig=…`) whose values are credentials. `code` is none of them: an OAuth code serves
# once and for minutes, and many an app's `code=` is a country or a coupon.
QUERY_NAMES = (
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "id_token",
    "key",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
)

# From the end of a name to its value: `=`, `: `, `": `, `" => `; and the value: quoted, quoted within a quoted text, or
# bare, with a scheme's word before it (`authorization: Bearer …`). A quote that is not closed runs to the end.
_SEPARATOR = rb"""(?P<end>\\{0,3}["']?\]?)\s{0,3}(?:=>|[=:])\s{0,3}"""
_NOT_MASKED = rb"(?!\[(?:redacted|filtered)\])"  # nor what an app has masked itself
_VALUE = rb"""(?:\\+"(?P<nested>%s[^"\\]+)|"(?P<quoted>%s(?:[^"\\]|\\.)+)|'(?P<single>%s[^']+)|""" % (
    (_NOT_MASKED,) * 3
) + (
    rb"(?P<bare>(?!(?:null|none|nil|true|false)\b)(?:(?:bearer|basic|token|digest|apikey)\s{1,3})?"
    rb"""(?:[^\s"'&;,(){}<>\[\]\\]|,(?=[^\s"'&;,(){}<>\[\]\\]))+))"""
)


@dataclass(frozen=True, slots=True)
class _Secret:
    """How one sort of secret is found: it is what the pattern's last group holds.

    `unlike_words`: only if a capital or a digit is in it (`Basic authentication failed` has none).
    """

    pattern: re.Pattern[bytes]
    unlike_words: bool = False


def _secret(pattern: bytes, *, unlike_words: bool = False) -> _Secret:
    return _Secret(re.compile(pattern, re.DOTALL), unlike_words)


_NAMED = _SEPARATOR + _VALUE
_CREDENTIALS: tuple[_Secret, ...] = (
    # password, passwd
    _secret(rb"w(?<=passw)(?:or)?d" + _NAMED),
    # secret, client_secret, secret_key, SECRET_KEY_BASE
    _secret(rb"secret(?:[_-]?key(?:[_-]?base)?)?" + _NAMED),
    # token, access_token, api_key, apikey, x-api-key, access_key, AWS_SECRET_ACCESS_KEY, private_key; AKIA…; HRKU-…
    _secret(
        rb"k(?:(?:(?<=tok)en|(?:(?<=api[_-]k)|(?<=apik)|(?<=access[_-]k)|(?<=accessk)|(?<=private[_-]k))ey)%s|"
        rb"(?<=\bak)ia(?P<aws>[0-9a-z]{16})\b|(?<=\bhrk)u-(?P<heroku>[0-9a-z_-]{20,}))" % _NAMED
    ),
    _secret(rb"z(?<=authoriz)ation" + _NAMED),
    _secret(
        rb"b(?:earer|asic)(?<![a-z]b.....)(?<![a-z]b....)\s{1,3}(?P<scheme>[a-z0-9._~+/=-]{8,})", unlike_words=True
    ),
    # postgres://user:PASSWORD@host
    _secret(rb"://[^/\s:@\"'<>]*:(?P<userinfo>%s[^/\s\"'<>]+)@" % _NOT_MASKED),
    # GitHub, Stripe, Slack; JSON Web Tokens; private keys
    _secret(rb"g(?:h[oprsu]_|ithub_pat_)(?P<github>[0-9a-z_]{20,})"),
    _secret(rb"_live_(?<=[prs]k_live_)(?P<stripe>[0-9a-z]{8,})"),
    _secret(rb"xox[abeoprs]-(?P<slack>[0-9a-z-]{8,})"),
    _secret(rb"j(?<![0-9a-z_-]eyj)(?<=eyj)(?P<jwt>[0-9a-z_-]{8,}\.[0-9a-z_-]{8,}\.[0-9a-z_-]{8,})"),
    _secret(rb"-----begin [^-]{0,40}private key-----(?P<key>%s(?!\s*\Z).+?)(?:-----end|\n?\Z)" % _NOT_MASKED),
)
_LIKE_NO_WORD = re.compile(rb"[A-Z0-9=+/~]")
_KEY_BEGINS = b"PRIVATE KEY-----"
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=]*\s*")
# So many messages are looked at together before one of them is: where one in a thousand holds a secret, the others cost 1 µs
# each and not 15.
_TOGETHER = 16
_FORWARDED = re.compile(rb'fwd=(?:"(?P<quoted>%s[^"]+)|(?P<bare>%s[^\s"]+))' % (_NOT_MASKED, _NOT_MASKED))


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is masked: credentials, the values of `query_names` in query strings, and where asked the `fwd` of router lines."""

    credentials: bool = True
    query_names: tuple[str, ...] = QUERY_NAMES
    fwd: bool = False
    secrets: tuple[_Secret, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        secrets = _CREDENTIALS if self.credentials else ()
        if self.query_names:
            names = b"|".join(
                re.escape(name.lower().encode()) for name in sorted(self.query_names, key=len, reverse=True)
            )
            for before in (rb"\?", rb"&(?:amp;)?"):
                secrets += (_secret(before + b"(?:" + names + rb")=(?P<query>%s[^&\s\"'#]+)" % _NOT_MASKED),)
        if self.fwd:
            secrets += (_Secret(_FORWARDED),)
        object.__setattr__(self, "secrets", secrets)

    def suspects(self, texts: bytes) -> bool:
        """Whether there may be a secret in some texts, joined. About 5 ns a byte."""
        lower = texts.lower()
        return any(secret.pattern.search(lower) for secret in self.secrets)

    def masked(self, text: bytes) -> bytes:
        """The text with each secret's value as `[redacted]`; itself where there is none."""
        spans = sorted(self._spans(text))
        if not spans:
            return text
        parts: list[bytes] = []
        done = 0
        for begin, end, mask in spans:
            if begin >= done:
                parts += (text[done:begin], mask)
            done = max(done, end)
        return b"".join([*parts, text[done:]])

    def masked_messages(self, processes: Sequence[bytes], messages: Sequence[bytes]) -> list[bytes]:
        """The messages of one frame, each masked behind its header; also a private key's lines, which come one by one."""
        within: set[bytes] = set()  # processes whose line before was of a key that has not ended
        done: list[bytes] = []
        for begin in range(0, len(messages), _TOGETHER):
            some = messages[begin : begin + _TOGETHER]
            joined = b"\n".join(some)
            if not within and _KEY_BEGINS not in joined and not self.suspects(joined):
                done += some
            else:
                done += self._masked_each(processes[begin : begin + _TOGETHER], some, within)
        return done

    def _masked_each(
        self, processes: Sequence[bytes], messages: Sequence[bytes], within: set[bytes]
    ) -> Iterator[bytes]:
        for process, message in zip(processes, messages, strict=True):
            *header, text = message.split(b" ", 6)
            if process in within and _KEY_LINE.fullmatch(text):
                text = REDACTED + b"\n" * text.endswith(b"\n")
            elif self.credentials and _leaves_key_open(text):
                within.add(process)
            else:
                within.discard(process)
            yield b" ".join([*header, self.masked(text)])

    def _spans(self, text: bytes) -> Iterator[tuple[int, int, bytes]]:
        lower = text.lower()
        for secret in self.secrets:
            for found in secret.pattern.finditer(lower):
                begin, end = found.span(found.lastgroup or 0)
                if not secret.unlike_words or _LIKE_NO_WORD.search(text, begin + 1, end):
                    yield begin, end, _mask(found)


def _leaves_key_open(text: bytes) -> bool:
    """Whether the text's last `-----BEGIN … PRIVATE KEY-----` has no end after it."""
    at = text.rfind(_KEY_BEGINS)
    return at >= 0 and text.rfind(b"-----BEGIN ", max(0, at - 60), at) >= 0


def _mask(found: re.Match[bytes]) -> bytes:
    """In quotes where a bare JSON value (`"pin_secret": 1234`) would no longer be JSON without them."""
    named_in_quotes = found.lastgroup == "bare" and (found.groupdict().get("end") or b"").endswith(b'"')
    return b'"%s"' % REDACTED if named_in_quotes else REDACTED
