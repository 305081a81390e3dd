"""The lines that benchmarks are made of: half router lines, half an app's own, one in a hundred an error."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

PATHS = ("/", "/api/orders", "/api/orders/4711/items?page=2", "/assets/app-5f3a.js", "/api/system/status", "/login")
WORDS = ("rendered", "completed", "in", "orders", "fetched", "cache", "hit", "miss", "queued", "job", "user", "sql")


def lines(number: int, *, seed: int = 1) -> Iterator[bytes]:
    """`number` messages without their octet counts, a few milliseconds apart; the same for the same `seed`."""
    chance = random.Random(seed)
    at = datetime.now(UTC) - timedelta(milliseconds=3 * number)
    for _ in range(number):
        at += timedelta(milliseconds=chance.randint(1, 5))
        stamp = at.isoformat(timespec="microseconds")
        dyno = f"web.{chance.randint(1, 4)}"
        kind = chance.random()
        if kind < 0.01:
            yield _router(stamp, chance, dyno, error=True)
        elif kind < 0.5:
            yield _router(stamp, chance, dyno, error=False)
        else:
            text = " ".join(chance.choice(WORDS) for _ in range(chance.randint(6, 20)))
            text += f" id={chance.getrandbits(64):x} ms={chance.randint(1, 900)}"
            yield f"<190>1 {stamp} host app {dyno} - {text}\n".encode()


def bodies(messages: list[bytes], size: int) -> list[bytes]:
    """The messages octet-counted, `size` of them to a body."""
    counted = [b"%d %s" % (len(one), one) for one in messages]
    return [b"".join(counted[at : at + size]) for at in range(0, len(counted), size)]


def _router(stamp: str, chance: random.Random, dyno: str, *, error: bool) -> bytes:
    head = 'at=error code=H12 desc="Request timeout"' if error else "at=info"
    service, status = (30000, 503) if error else (chance.randint(1, 400), 200)
    return (
        f'<158>1 {stamp} host heroku router - {head} method=GET path="{chance.choice(PATHS)}" '
        f'host=shop.example.com request_id={chance.getrandbits(128):032x} fwd="203.0.113.{chance.randint(1, 254)}" '
        f"dyno={dyno} connect=0ms service={service}ms status={status} bytes={chance.randint(100, 9000)} "
        f"protocol=http1.1 tls=true tls_version=tls1.3\n"
    ).encode()
