"""The other way out: Apprise's own, for URLs of the services that it knows (`mailto://`, `tgram://` …).

The library, the extra `drainwatch[apprise]`, connects by itself, where no address is checked; so an endpoint of it says
`allow_private`. It blocks and cannot be cancelled: each message has a thread, which a silent server keeps for a while.
"""

import asyncio
import importlib
import json
import logging
import re
import threading
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

from service.errors import Refused
from service.notify.connect import Answer

_MISSING = "Apprise is not installed here; expected the extra: pip install 'drainwatch[apprise]'"


def is_own_url(url: str) -> bool:
    """Whether the URL is one of Apprise's own, not that of an Apprise API."""
    return not url.lower().startswith(("http://", "https://"))


def check_own_url(url: str, *, allow_private: bool) -> None:
    """Raises Refused (400, parameter "url") for a URL of which Apprise makes nothing, or where Apprise is not installed. The
    message never repeats the URL: it holds credentials."""
    if not allow_private:
        raise _refused(
            'Apprise connects by itself, where no address is checked; expected "allow_private" beside such a URL, '
            "or the http or https URL of an Apprise API"
        )
    library = _library()
    if library is None:
        raise _refused(f"{_MISSING}, or the http or https URL of an Apprise API")
    if not re.fullmatch("[!-~]+", url) or library.Apprise.instantiate(url, suppress_exceptions=True) is None:
        raise _refused("Apprise makes nothing of the URL; expected one that its documentation shows")


async def send(url: str, payload: str, *, seconds: float) -> Answer:
    """Sends the message, `payload` as `formats/apprise.py` renders it, over within `seconds`. Apprise says no more than
    whether it went well: 200 stands for that."""
    began = time.monotonic()
    library = _library()
    if library is None:
        return Answer(None, 0, error=_MISSING)
    sent: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    arguments = (library, url, json.loads(payload), sent)
    threading.Thread(target=_send, args=arguments, daemon=True, name="drainwatch-apprise").start()
    status, error = None, None
    try:
        async with asyncio.timeout(seconds):
            status = 200 if await sent else None
        error = None if status else "Apprise could not deliver it; its own log would hold the URL and is off"
    except TimeoutError:
        error = f"no answer within {seconds:g} s"
    return Answer(status, round((time.monotonic() - began) * 1000), error=error)


def _send(library: ModuleType, url: str, message: dict[str, Any], sent: "asyncio.Future[bool]") -> None:
    try:
        service = library.Apprise()
        service.add(url)
        well = bool(
            service.notify(
                body=message["body"], title=message["title"], notify_type=message["type"], body_format=message["format"]
            )
        )
    except Exception:  # whatever a plugin raises: its text may hold the URL
        well = False
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        sent.get_loop().call_soon_threadsafe(_settle, sent, well)


def _settle(sent: "asyncio.Future[bool]", well: bool) -> None:
    if not sent.done():
        sent.set_result(well)


def _library() -> ModuleType | None:
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        return None
    # It writes URLs into its log, credentials and all.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return library


def _refused(detail: str) -> Refused:
    return Refused(400, detail, parameter="url", expected=detail.partition("expected ")[2])
