"""The words for posting: the drain endpoint of a web process, and who may post there."""

import base64
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import text

from service.store.database import Database

APP = "raxx-api-prod"


@dataclass
class Door:
    """A web process in this one: its address, one drain, and a client that posts with its credentials."""

    url: str
    client: httpx.AsyncClient
    secret: str
    db: Database

    async def post(self, body: bytes, *, frame_id: str | None = None, **headers: str) -> httpx.Response:
        """Posts `body` as Logplex would."""
        sent = {
            "Authorization": basic(APP, self.secret),
            "Content-Type": "application/logplex-1",
            **({"Logplex-Frame-Id": frame_id} if frame_id else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.post("/drain", content=body, headers=sent)

    async def rows(self, query: str) -> list[Any]:
        """What the database says."""
        async with self.db.read() as conn:
            return list(await conn.execute(text(query)))


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617 §2)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
