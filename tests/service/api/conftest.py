from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI

from keeping import PUBLIC_URL
from service import api
from service.access import Access
from service.api import Api
from service.store.database import Database

ADMIN = "dw_admin"


@dataclass(frozen=True, slots=True)
class Asking:
    """The API in this process, on `db`. `token` goes with each request; None: none."""

    db: Database
    http: httpx.AsyncClient
    token: str | None = ADMIN

    async def __call__(self, method: str, path: str, *, token: str | None = "", **given: Any) -> httpx.Response:
        given.setdefault("headers", {})
        sent = self.token if token == "" else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return await self.http.request(method, path, **{**given, "headers": {**headers, **given["headers"]}})

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def ask(emptied_url: str) -> AsyncIterator[Asking]:
    """The API on an empty database."""
    db = Database.open(emptied_url)
    app = FastAPI(title="drainwatch", version="0", docs_url=None)
    api.install(app, Api(db=db, access=Access(db, admin_token=ADMIN), public_url=PUBLIC_URL))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://drainwatch") as http:
        yield Asking(db, http)
    await db.close()
