"""The drains as the spool remembers them, for the time in which the database cannot say who may post.

A file beside the spool's, for its owner alone: what the table holds, that is hashes of secrets. All processes that share the
folder write the same, each from the whole table, and by renaming, so that nobody ever reads half a file.
"""

import asyncio
import json
import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from service.errors import StoreAway
from service.log import log
from service.store import drains
from service.store.database import Database
from service.store.drains import DrainCredentials

FILE = "drains.json"

# A drain that was added, and has not posted yet, is known this soon.
ASK_SECONDS = 10.0
# While the database is away, another process may have learned of one in time and written it down.
AWAY_SECONDS = 1.0
# A database that takes longer is away: it may be gone without a word.
READ_SECONDS = 5.0


class KnownDrains:
    """What is remembered of `folder`'s file; `run` it to keep both up to date."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._by_app: dict[str, list[DrainCredentials]] = {}
        self._written: bytes | None = None
        self._wanted = asyncio.Event()
        self._closing = False

    @classmethod
    def read(cls, folder: Path) -> "KnownDrains":
        """What the file in `folder` says; nothing where there is none, or none that can be read."""
        known = cls(folder)
        known._read()
        return known

    def __bool__(self) -> bool:
        """Whether any drain is remembered."""
        return bool(self._by_app)

    def of(self, app: str) -> list[DrainCredentials]:
        """The drains that may post for the app of that name, as they last were; none for an unknown one."""
        return self._by_app.get(app, [])

    def compare(self, app: str, credentials: Sequence[DrainCredentials]) -> None:
        """The database says that these are the app's drains: if they are others, the table is read anew, soon."""
        if self.of(app) != list(credentials):
            self._wanted.set()

    async def run(self, db: Database) -> None:
        """Reads the table now, every ASK_SECONDS, and when it has changed, and writes the file if it differs; until `close`.
        While the database is away, the file is read instead."""
        while not self._closing:
            self._wanted.clear()
            try:
                async with asyncio.timeout(READ_SECONDS), db.read() as conn:
                    self._remember(await drains.credentials(conn))
                await asyncio.to_thread(self._write)
                seconds = ASK_SECONDS
            except (StoreAway, TimeoutError):  # whoever works with the database says so
                await asyncio.to_thread(self._read)
                seconds = AWAY_SECONDS
            except OSError as error:
                log.error("spool.drains_not_written", file=str(self._path), reason=error.strerror)
                seconds = ASK_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wanted.wait()

    def close(self) -> None:
        """Lets `run` end."""
        self._closing = True
        self._wanted.set()

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
            if data == self._written:
                return
            self._remember(map(_drain, json.loads(data)["drains"]))
            self._written = data
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("spool.drains_unreadable", file=str(self._path), reason=type(error).__name__)

    def _remember(self, all_drains: Iterable[DrainCredentials]) -> None:
        by_app: dict[str, list[DrainCredentials]] = defaultdict(list)
        for drain in all_drains:
            by_app[drain.app].append(drain)
        self._by_app = dict(by_app)

    def _write(self) -> None:
        said = {"drains": [_json(drain) for of_app in self._by_app.values() for drain in of_app]}
        data = json.dumps(said, indent=1).encode()
        if data == self._written:
            return
        made = self._path.with_name(f"{FILE}.{secrets.token_hex(8)}")
        file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(file, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            made.replace(self._path)
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        self._written = data


def _json(drain: DrainCredentials) -> dict[str, Any]:
    return {
        "id": drain.id,
        "app_id": drain.app_id,
        "app": drain.app,
        "environment": drain.environment,
        "secret_hash": drain.secret_hash.hex(),
        "previous_hash": drain.previous_hash.hex() if drain.previous_hash else None,
        "previous_until": drain.previous_until.isoformat() if drain.previous_until else None,
        "logplex_token": drain.logplex_token,
    }


def _drain(said: dict[str, Any]) -> DrainCredentials:
    return DrainCredentials(
        id=said["id"],
        app_id=said["app_id"],
        app=said["app"],
        environment=said["environment"],
        secret_hash=bytes.fromhex(said["secret_hash"]),
        previous_hash=bytes.fromhex(said["previous_hash"]) if said["previous_hash"] else None,
        previous_until=datetime.fromisoformat(said["previous_until"]) if said["previous_until"] else None,
        logplex_token=said["logplex_token"],
    )
