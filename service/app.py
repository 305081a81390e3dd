"""The processes, assembled from top to bottom: database, web, worker; torn down in reverse."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from parsers.frame import Reading
from service import api, interpreter, metrics
from service.access import Access
from service.detect.rule_book import RuleBook
from service.detect.table import RuleError
from service.errors import SettingError, StoreAway
from service.ingest.admission import Admission
from service.ingest.authentication import Authentication
from service.ingest.endpoint import DrainEndpoint, Keeping, Limits, Receive, Scope, Send
from service.ingest.group_commit import GroupCommit
from service.ingest.known_drains import KnownDrains
from service.ingest.safekeeping import Safekeeping
from service.ingest.short_way import short_way
from service.ingest.spool import Spool
from service.ingest.tallies import Tallies
from service.log import log
from service.settings import Settings
from service.store import partitions, schema
from service.store.database import Database
from service.store.embedded import EmbeddedPostgres
from service.worker import work

# Logplex's connections live up to 5 h, idle up to 300 s (heroku.md §1.4): ours must not be the side that closes.
KEEP_ALIVE_SECONDS = 600
# With what is held for 4 s at the most, an exit is over well within the 20 s that DESIGN gives it.
GRACEFUL_SECONDS = 15
# Whatever still waits then for a database that is gone without a word is left: what was answered is committed, or in the spool.
ENDING_SECONDS = 17
# What pages of other origins may read of an answer beside its body.
CORS_EXPOSED = ("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
# How often a start asks for a database that is away.
AWAY_SECONDS = 0.5
# How long a web process with a spool, and a database that was there just now, waits for it before it listens all the same.
DATABASE_SECONDS = 1.0


async def run(settings: Settings, *, web: bool, worker: bool, migrate: bool) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what was accepted and returns.

    `migrate`: brings the schema up to date first; else an old one is refused. Raises SettingError where it cannot start.
    """
    rules = read_rules(settings)
    interpreter.settle()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ending = asyncio.create_task(_end_in_time(stop)) if settings.database.url else None
    async with database(settings) as db, asyncio.TaskGroup() as group:
        is_ready = group.create_task(_ready_sometime(db, stop, migrate=migrate))
        if not (web and _takes_frames_alone(settings)) and not await is_ready:
            return
        if web:
            listening = listen(settings.server.host, settings.server.port)
            group.create_task(serve_web(settings, db, stop, listening, is_ready))
        if await is_ready and worker:
            url = settings.server.public_url
            reading = reading_of(settings)
            working = work(
                db,
                rules,
                settings.flag_prefix,
                settings.retention,
                stop,
                reading=reading,
                public_url=url,
                notify=settings.notify,
                ack_lapse=settings.ack_lapse,
            )
            group.create_task(working)
    if ending:
        ending.cancel()


async def _end_in_time(stop: asyncio.Event) -> None:
    """Ends the process ENDING_SECONDS after `stop` was set, if it has not ended by then; never with an embedded Postgres, which
    it would leave behind."""
    await stop.wait()
    await asyncio.sleep(ENDING_SECONDS)
    log.warning("process.cut_short", seconds=ENDING_SECONDS, reason="the database says nothing")
    os._exit(0)


def read_rules(settings: Settings) -> RuleBook:
    """The rules in force. Raises SettingError for the first wrong one."""
    try:
        return RuleBook(settings.rules)
    except RuleError as error:
        raise SettingError(str(error)) from error


def reading_of(settings: Settings) -> Reading:
    """What the settings add to how lines are read: kinds of one's own, watched paths, redaction."""
    return Reading(
        tables=settings.events,
        watched_paths=settings.watched_paths,
        app_watched_paths=settings.app_watched_paths(),
        telling_paths=settings.telling_paths,
        redaction=settings.ingest.redaction,
    )


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The database that the settings name, else an embedded one, which is started again should it die."""
    async with contextlib.AsyncExitStack() as stack:
        url = settings.database.url
        if url is None:
            postgres = EmbeddedPostgres(settings.database.home)
            url = await postgres.start()
            stack.push_async_callback(postgres.stop)
            keeping = asyncio.create_task(postgres.keep_running())
            stack.callback(keeping.cancel)
        db = Database.open(url)
        stack.push_async_callback(db.close)
        yield db


async def ready(db: Database, *, migrate: bool) -> None:
    """Returns when the database can be used. Raises SettingError for a schema that this code does not fit."""
    await db.probe()
    if migrate:
        await schema.migrate(db)
        return
    async with db.read() as conn:
        await schema.check(conn)
    async with db.begin() as conn:
        await partitions.ensure(conn, datetime.now(UTC))


async def _ready_sometime(db: Database, stop: asyncio.Event, *, migrate: bool) -> bool:
    """Waits for a database that is away; False where `stop` was set before it came. Meanwhile nobody listens, unless there is a
    spool that knows who may post: to be refused a connection costs Logplex no try (heroku.md §1.4)."""
    away = False
    while not stop.is_set():
        try:
            await ready(db, migrate=migrate)
        except StoreAway as error:
            if not away:
                log.warning("start.database_away", reason=str(error))
            away = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_SECONDS):
                    await stop.wait()
        else:
            return True
    return False


def _takes_frames_alone(settings: Settings) -> bool:
    """Whether the spool knows who may post, so that frames can be taken while the database is away. Raises SettingError for a
    spool that cannot be used."""
    spool = spool_of(settings)
    return spool is not None and bool(KnownDrains.read(spool.folder))


def spool_of(settings: Settings) -> Spool | None:
    """The spool that the settings name; None where they name none. Raises SettingError."""
    folder = settings.ingest.spool
    return Spool.open(folder, most_bytes=settings.ingest.spool_bytes) if folder else None


def create_app(settings: Settings, db: Database, tallies: Tallies | None = None) -> FastAPI:
    """The query API, at the same address as the drain endpoint, whose `tallies` are in its answers."""
    app = FastAPI(title="drainwatch", version="0.1.0", docs_url=None, redoc_url=None)
    access = Access(db, admin_token=settings.admin_token, a_minute=settings.asking.rate_limit)
    rooms = api.Api(
        db=db,
        access=access,
        public_url=settings.server.public_url,
        tallies=tallies,
        rules=read_rules(settings),
    )
    api.install(app, rooms)
    if settings.asking.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.asking.cors_origins,
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            expose_headers=["Retry-After", *CORS_EXPOSED],
            max_age=600,
        )
    return app


def end_streams(app: FastAPI) -> None:
    """Ends the answers of `create_app`'s that would go on for ever; their clients resume elsewhere."""
    rooms: api.Api = app.state.api
    rooms.close()


@asynccontextmanager
async def in_process(settings: Settings) -> AsyncIterator[FastAPI]:
    """The API in this process, for the terminal where no DRAINWATCH_URL says where a service runs."""
    async with database(settings) as db:
        await ready(db, migrate=settings.database.url is None)
        app = create_app(settings, db)
        try:
            yield app
        finally:
            end_streams(app)


def drain_endpoint(
    settings: Settings, authentication: Authentication, keeping: Keeping, reading: Reading, tallies: Tallies
) -> DrainEndpoint:
    """POST /drain, between those who post and who keeps their frames."""
    admission = Admission(settings.ingest.admission_bytes)
    metrics.ADMISSION_BYTES.set_function(lambda: admission.inside)
    metrics.ADMISSION_WAITING.set_function(lambda: admission.waiting)
    return DrainEndpoint(
        authentication,
        admission,
        keeping,
        reading,
        Limits(max_body=settings.ingest.max_body, hold_s=settings.ingest.hold_s),
        tallies,
    )


async def serve_web(
    settings: Settings,
    db: Database,
    stop: asyncio.Event,
    listening: socket.socket,
    is_ready: "asyncio.Task[bool] | None" = None,
) -> None:
    """The web process on a bound socket until `stop` is set: no new connections then, what was accepted is answered.

    `is_ready`, where given, is over when the database can be written to.
    """
    spool = spool_of(settings)
    tallies, reading = Tallies(), reading_of(settings)
    group_commit = GroupCommit(db, tallies, reading, holds=spool is None)
    metrics.COMMIT_WAITING.set_function(lambda: group_commit.waiting)
    rooms = [_Room(tallies.run(db), tallies.close), _Room(group_commit.run(), group_commit.close)]
    keeping: Keeping = group_commit
    known_drains, there = None, None
    if spool is not None:
        known_drains = KnownDrains.read(spool.folder)
        safekeeping = Safekeeping(db, group_commit, spool, reading, tallies, is_ready)
        keeping, there = safekeeping, safekeeping.there
        rooms += [_Room(known_drains.run(db), known_drains.close), _Room(safekeeping.run(), safekeeping.close)]
    drain = drain_endpoint(settings, Authentication(db, known_drains), keeping, reading, tallies)
    questions = create_app(settings, db, tallies)
    server = _server(_Doors(drain, questions), drain)
    async with _running(rooms) as running:
        if there and (is_ready is None or is_ready.done()):  # the first frames need not go through the spool
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(there(), DATABASE_SECONDS)
        serving = asyncio.create_task(server.serve([listening]))
        log.info("web.started", url=settings.server.public_url)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, serving, *running), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        end_streams(questions)
        server.should_exit = True
        await serving
    log.info("web.stopped")


@dataclass(frozen=True, slots=True)
class _Room:
    """What runs until it is closed."""

    run: Coroutine[Any, Any, None]
    close: Callable[[], None]


@asynccontextmanager
async def _running(rooms: Sequence[_Room]) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Runs `rooms`; at the end closes one after the other, the last first, and waits for it."""
    tasks = [asyncio.create_task(room.run) for room in rooms]
    yield tasks
    for room, task in reversed(list(zip(rooms, tasks, strict=True))):
        room.close()
        await task


def _server(application: "_Doors", drain: DrainEndpoint) -> "_Server":
    return _Server(
        uvicorn.Config(
            application,
            http=short_way(drain),
            ws="none",
            lifespan="off",
            proxy_headers=False,  # the links it prints are of DRAINWATCH_PUBLIC_URL
            access_log=False,  # a line for each frame would make a drain of drainwatch's own app feed on itself
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            backlog=2048,
        )
    )


class _Doors:
    """The two doors of the web process: frames on one side, questions on the other."""

    def __init__(self, drain: DrainEndpoint, questions: FastAPI) -> None:
        self._drain = drain
        self._questions = questions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/drain":
            await self._drain(scope, receive, send)
        else:
            await self._questions(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: it would raise the signal again, and the exit status would not be 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises SettingError where it is taken or none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What it accepts inherits this. uvloop does it anyway; on asyncio's own loop each body would come 40 ms after its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise SettingError(
            f"cannot listen on {host}:{port}: {error.strerror}; expected a free address (PORT, DRAINWATCH_HOST)"
        ) from error
    return listening
