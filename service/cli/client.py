"""The one way to the API: over HTTP where DRAINWATCH_URL is set, else to the app in this very process.

In this process it is the same app with the same database, asked without a socket; the token is made for the occasion. So a
command does the same whether a service runs or not.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from service.errors import DrainwatchError, Refused, SettingError

_SECONDS = 30.0
# A stream says something every 15 s.
_SILENT_SECONDS = 45.0
_AGAIN_SECONDS = 1.0


class Client:
    """Asks the API and gives what it answers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(
        self, method: str, path: str, *, params: Mapping[str, object | None] | None = None, body: object = None
    ) -> Any:
        """The answer's JSON; None where it has none. Parameters that are None are left out.

        Raises Refused with what the API says, or DrainwatchError where nothing answers.
        """
        given = {name: str(value) for name, value in (params or {}).items() if value is not None}
        try:
            answer = await self._http.request(method, path, params=given, json=body)
        except httpx.HTTPError as error:
            raise DrainwatchError(
                f"nothing answers at {self._http.base_url} ({_reason(error)}); is drainwatch running there?"
            ) from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refused(answer)

    async def follow(self, path: str, *, params: Mapping[str, object | None]) -> AsyncIterator[Any]:
        """What a stream tells, for ever: None whenever it has begun, else the JSON of a message. Goes on by itself where a
        connection ends, without a gap.

        Raises Refused with what the API says, or DrainwatchError where nothing answers the first time.
        """
        given = {name: str(value) for name, value in params.items() if value is not None}
        last_id, began = None, False
        while True:
            headers: dict[str, str] = {"Last-Event-ID": last_id} if last_id else {}
            timeout = httpx.Timeout(_SECONDS, read=_SILENT_SECONDS)
            try:
                async with self._http.stream("GET", path, params=given, headers=headers, timeout=timeout) as answer:
                    if not answer.is_success:
                        await answer.aread()
                        if answer.status_code < 500 or not began:
                            raise _refused(answer)
                    else:
                        began = True
                        yield None
                        async for place, data in _messages(answer):
                            if data is not None:
                                yield json.loads(data)
                            last_id = place or last_id
            except httpx.HTTPError as error:
                if not began:
                    raise DrainwatchError(
                        f"nothing answers at {self._http.base_url} ({_reason(error)}); is drainwatch running there?"
                    ) from error
            await asyncio.sleep(_AGAIN_SECONDS)


@asynccontextmanager
async def connect(environ: Mapping[str, str], *, to_running: bool = False) -> AsyncIterator[Client]:
    """A client of the API that `environ` leads to. `to_running`: of a running service, whether or not DRAINWATCH_URL is set.

    Raises SettingError for a wrong setting, StoreAway where the app in this process finds no database.
    """
    if environ.get("DRAINWATCH_URL") or to_running:
        url = base_url(environ)
        headers = {"Authorization": f"Bearer {_token(environ)}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_SECONDS, follow_redirects=True) as http:
            yield Client(http)
        return
    from service.access import new_token
    from service.app import in_process
    from service.settings import read_settings

    token = new_token()
    settings = replace(read_settings(environ), admin_token=token)
    async with in_process(settings) as app:
        # What goes wrong in the app is to be seen here as it was raised, not as a 500.
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://drainwatch", headers=headers) as http:
            yield Client(http)


def ask(method: str, path: str, *, params: Mapping[str, object | None] | None = None, body: object = None) -> Any:
    """The same as `Client.call`, for a command that has one thing to ask."""

    async def once() -> Any:
        async with connect(os.environ) as client:
            return await client.call(method, path, params=params, body=body)

    return asyncio.run(once())


def base_url(environ: Mapping[str, str]) -> str:
    """Where the service answers: DRAINWATCH_URL, else where `serve` listens here. Raises SettingError."""
    url = environ.get("DRAINWATCH_URL")
    if not url:
        from service.settings import read_settings

        server = read_settings(environ).server
        # Whoever listens on all addresses is reached on this one.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104
        return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(
            f"DRAINWATCH_URL is {url!r}; expected where drainwatch answers, as in https://logs.example.com"
        )
    return url.rstrip("/")


def _token(environ: Mapping[str, str]) -> str:
    token = environ.get("DRAINWATCH_TOKEN") or environ.get("DRAINWATCH_ADMIN_TOKEN")
    if not token:
        from service.access import kept_admin_token

        token = kept_admin_token(Path(environ.get("DRAINWATCH_HOME") or ".drainwatch"))
    if not token:
        raise SettingError(
            "DRAINWATCH_TOKEN is not set; expected a token for the service at DRAINWATCH_URL: "
            "`drainwatch token create --scope admin` makes one there"
        )
    if not token.isascii() or not token.isprintable():
        raise SettingError("DRAINWATCH_TOKEN holds characters that no token has; expected what `token create` printed")
    return token


def _refused(answer: httpx.Response) -> Refused:
    try:
        said = answer.json()
        detail = said["detail"]
    except (ValueError, KeyError, TypeError):
        said, detail = {}, f"{answer.url.copy_with(query=None)} answers {answer.status_code}; expected drainwatch's API"
    return Refused(answer.status_code, str(detail), parameter=said.get("parameter"), column=said.get("column"))


async def _messages(answer: httpx.Response) -> AsyncIterator[tuple[str | None, str | None]]:
    """The messages of Server-Sent Events, each its `id` and its `data`; None where it has none."""
    place = data = None
    async for line in answer.aiter_lines():
        if not line:
            yield place, data
            place = data = None
        elif line.startswith("id: "):
            place = line.removeprefix("id: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")


def _reason(error: httpx.HTTPError) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
