"""The zoo of receivers, over real sockets: of each, what is recorded of the attempt and what is sent next."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from receiver import Receiver, Script, answer, nonsense, reset, silence, silence_after_status, slowly
from service.notify.connect import WayOut
from service.notify.deliver import Deliverer
from service.store.database import Database

from ..outbox import NOON, PUBLIC_URL, SYSTEM_TLS, add, after, ledger, rounds, step

CERTIFICATE = Path(__file__).parents[1] / "hooks.example.test.pem"


@dataclass(frozen=True)
class Animal:
    """A receiver that does `does` at first and answers 204 from then on. Of the first attempt `status`, `error` (its beginning)
    and `answer` are recorded; the second is made `again` seconds later, not before; None: none is."""

    name: str
    does: Script
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    again: float | None = 5
    seconds: float = 30.0  # that an attempt may take


ZOO = [
    Animal("slow but in time", slowly(0.05, answer(204)), 204, again=None),
    Animal("500 with a page", answer(500, body=b"<h1>oops"), 500, answer="<h1>oops"),
    Animal("429 that asks for two minutes", answer(429, {"Retry-After": "120"}), 429, again=120),
    Animal("503 until a time", answer(503, {"Retry-After": "Mon, 11 May 2026 12:02:00 GMT"}), 503, again=120),
    Animal("429 that asks for a week", answer(429, {"Retry-After": "604800"}), 429, again=3600),
    Animal(
        "301 to a private address",
        answer(301, {"Location": "http://10.0.0.1/"}),
        301,
        "answered with a redirect, which is not followed",
    ),
    Animal("400", answer(400, body=b"no such channel"), 400, answer="no such channel"),
    Animal("reset", reset, error="the connection broke: Connection reset by peer"),
    Animal("not HTTP", nonsense, error="the answer was not HTTP"),
    Animal("never answering", silence, error="no answer within 0.3 s", seconds=0.3),
    Animal("10 MB with a 500", answer(500, body=b"y" * 10_000_000), 500, answer="y" * 1024),
    Animal("10 MB with a 200", answer(200, body=b"y" * 10_000_000), 200, answer="y" * 1024, again=None),
    Animal("a status and no end", silence_after_status, 200, again=None, seconds=1.0),
    Animal("an answer with NUL", answer(500, body=b"a\0b\xff"), 500, answer="a�b�"),
]


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
async def test_what_a_receiver_does_is_recorded_and_the_next_attempt_made_in_time(db: Database, animal: Animal) -> None:
    async with Receiver([animal.does, answer(204)]) as receiver, WayOut(tls=SYSTEM_TLS) as way_out:
        deliverer = Deliverer(db, way_out, public_url=PUBLIC_URL, chance=lambda: 0.0, attempt_seconds=animal.seconds)
        endpoint = (await add(db, receiver.url)).endpoint
        await step(db, "opened")
        assert await rounds(deliverer) == 1
        [first] = await ledger(db, endpoint.id)
        if animal.again is not None:
            assert await rounds(deliverer, at=after(animal.again - 0.1)) == 0
        await rounds(deliverer, at=after(animal.again or 7200))

    [delivery] = await ledger(db, endpoint.id)
    recorded = first.attempts[0]
    assert (recorded.status, recorded.answer) == (animal.status, animal.answer)
    assert (recorded.error or "").startswith(animal.error or "")
    assert (recorded.error is None) == (animal.error is None)
    assert first.status == ("delivered" if animal.again is None else "pending")
    assert [one.status for one in delivery.attempts[1:]] == ([] if animal.again is None else [204])
    assert delivery.status == "delivered"
    assert len({one.id for one in receiver.requests}) == 1


async def test_tls_for_another_name_and_by_nobody_known_is_recorded_and_nothing_is_sent(db: Database) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    said = []
    async with Receiver(tls=server) as receiver:
        for tls, host in ((trusting, "other.example.test"), (None, "hooks.example.test")):
            async with WayOut(resolve=leading_to("127.0.0.1"), tls=tls) as way_out:
                deliverer = Deliverer(db, way_out, public_url=PUBLIC_URL, chance=lambda: 0.0)
                endpoint = (await add(db, f"https://{host}:{receiver.port}/")).endpoint
                await step(db, "opened", of=endpoint.id)
                await rounds(deliverer)
                said += [one.attempts[-1].error for one in await ledger(db, endpoint.id) if one.attempts]

    assert receiver.requests == []
    assert said[0] == "TLS: the certificate is for another name"
    assert str(said[-1]).startswith("TLS: the certificate is not trusted: self")


async def test_dns_that_changes_its_answer_leads_to_no_private_address_at_any_attempt(db: Database) -> None:
    names = Changing(["10.0.0.1"], ["127.0.0.1"], ["169.254.169.254", "127.0.0.1"], ["::1"])
    async with Receiver() as receiver, WayOut(resolve=names.resolve, tls=SYSTEM_TLS) as way_out:
        deliverer = Deliverer(db, way_out, public_url=PUBLIC_URL, chance=lambda: 0.0)
        endpoint = (await add(db, f"http://rebind.example.test:{receiver.port}/", private=False)).endpoint
        await step(db, "opened")
        for seconds in (0, 5, 15, 35):
            await rounds(deliverer, at=after(seconds))

    assert receiver.requests == []
    assert names.asked == 4  # once for each attempt: what was checked is what is connected to
    [delivery] = await ledger(db, endpoint.id)
    said = [
        str(one.error).partition(", and")[0].removeprefix("refused: the host's name leads to ")
        for one in delivery.attempts
    ]
    assert said == ["a private address", "a loopback address", "a link-local address", "a loopback address"]
    assert delivery.status == "pending"
    assert delivery.due_at == NOON.replace(minute=1, second=15)


class Changing:
    """DNS that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host: str) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def leading_to(address: str) -> Callable[[str], Awaitable[list[str]]]:
    """Every name leads there."""

    async def resolve(host: str) -> list[str]:
        return [address]

    return resolve
