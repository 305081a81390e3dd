"""Apprise's own URLs. The library is an extra; what stands for it here has the two calls of it that drainwatch makes."""

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from service.notify import apprise_way, endpoints
from service.notify.deliver import Deliverer
from service.store.database import Database

from .outbox import MakeDeliverer, add, ledger, rounds, step

URL = "tgram://canary-token/7"


class Library(ModuleType):
    """`apprise`: notes what it is given and does what `then` does."""

    def __init__(self, then: Callable[[], bool]) -> None:
        super().__init__("apprise")
        sent: list[dict[str, Any]] = []
        self.sent = sent

        class Apprise:
            @staticmethod
            def instantiate(url: str, suppress_exceptions: bool = True) -> object | None:
                return object() if url.startswith("tgram://") else None

            def add(self, url: str) -> None:
                self.url = url

            def notify(self, **message: str) -> bool:
                sent.append({"url": self.url, **message})
                return then()

        self.Apprise = Apprise


def installed(monkeypatch: pytest.MonkeyPatch, then: Callable[[], bool] = lambda: True) -> Library:
    library = Library(then)
    monkeypatch.setitem(sys.modules, "apprise", library)
    return library


async def test_a_step_goes_out_through_the_library(
    db: Database, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = installed(monkeypatch)
    endpoint = (await add(db, URL, format="apprise")).endpoint
    await step(db, "opened")
    await rounds(deliverer)

    [sent] = library.sent
    assert (sent["url"], sent["title"]) == (URL, "[critical] web keeps crashing")
    assert (sent["notify_type"], sent["body_format"]) == ("failure", "text")
    assert [one.status for one in await ledger(db, endpoint.id)] == ["delivered"]
    assert endpoint.url == "tgram://…"


async def test_what_the_library_cannot_deliver_is_tried_again_and_its_words_are_not_repeated(
    db: Database, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise RuntimeError(f"no route to {URL}")

    installed(monkeypatch, fail)
    endpoint = (await add(db, URL, format="apprise")).endpoint
    await step(db, "opened")
    await rounds(deliverer)

    [delivery] = await ledger(db, endpoint.id)
    assert (delivery.status, delivery.attempts[0].status) == ("pending", None)
    assert "canary" not in str(delivery)


async def test_a_service_that_hangs_costs_the_time_limit(
    db: Database, make_deliverer: MakeDeliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    installed(monkeypatch, lambda: over.wait(5))
    endpoint = (await add(db, URL, format="apprise")).endpoint
    await step(db, "opened")
    await rounds(make_deliverer(attempt_seconds=0.1))
    over.set()

    [delivery] = await ledger(db, endpoint.id)
    assert delivery.attempts[0].error == "no answer within 0.1 s"


async def test_without_the_library_the_attempt_says_which_extra_is_missing(
    db: Database, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    endpoint = (await add(db, URL, format="apprise")).endpoint
    monkeypatch.setitem(sys.modules, "apprise", None)
    await step(db, "opened")
    await rounds(deliverer)

    [delivery] = await ledger(db, endpoint.id)
    assert "drainwatch[apprise]" in str(delivery.attempts[0].error)


async def test_a_url_that_the_library_makes_nothing_of_is_refused(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    with pytest.raises(endpoints.Refused, match="Apprise makes nothing of the URL"):
        await add(db, "nothing://canary", format="apprise")


@pytest.mark.parametrize(("url", "own"), [("mailto://x", True), ("HTTPS://x", False), ("http://x", False)])
def test_http_urls_are_those_of_an_apprise_api(url: str, own: bool) -> None:
    assert apprise_way.is_own_url(url) is own
