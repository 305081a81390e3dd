"""The embedded Postgres: its owner's alone, shared by that owner's processes, and there again whatever dies."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from service.errors import SettingError
from service.store import embedded_places, postgres
from service.store.embedded import EmbeddedPostgres
from service.store.os_account import postgres_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run things as another OS user")

# What these tests kill is processes, not the machine.
SETTINGS = {"fsync": "off"}


@asynccontextmanager
async def started(home: Path, **options: object) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, settings=SETTINGS, **options)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: EmbeddedPostgres, statement: str) -> object:
    conn = await asyncpg.connect(server.url(), timeout=30)
    try:
        return await conn.fetchval(statement)
    finally:
        await conn.close()


async def answer_after_a_while(server: EmbeddedPostgres, statement: str) -> object:
    """The answer, once the server is there again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask(server, statement)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.02)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner_of(path: Path) -> str:
    return path.owner()


def status_of(pid: int) -> dict[str, list[str]]:
    """The fields of a process's status as Linux tells them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").resolve()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def psql_as_nobody(server: EmbeddedPostgres) -> str:
    """What Postgres's own client, run by another OS user, says when it tries to connect as drainwatch does."""
    nobody = pwd.getpwnam("nobody")
    ran = subprocess.run(
        [runnable_psql(), server.url(), "-c", "select 1"],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
    )
    assert ran.returncode != 0
    return ran.stderr


def runnable_psql() -> Path:
    binaries, _ = embedded_places.runnable_binaries(postgres_account(), embedded_places.installed_binaries())
    return binaries / "psql"


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home whose data has been made; not to be used itself: making it takes longest, so the tests below copy it."""
    with tempfile.TemporaryDirectory(prefix="drainwatch-test-", dir="/tmp") as folder:
        made = Path(folder)
        made.chmod(0o711)
        account = postgres_account()
        binaries, _ = embedded_places.runnable_binaries(account, embedded_places.installed_binaries())
        postgres.make(account, binaries, made / "postgres", sync=False)
        yield made


@pytest.fixture
def home(made_home: Path, open_folder: Path) -> Path:
    """A home with data, in which no server has run yet."""
    subprocess.run(["cp", "-a", made_home / "postgres", open_folder], check=True)
    return open_folder


@pytest.fixture
def closed_folder(open_folder: Path) -> Path:
    """A folder that nobody but the user of this process can enter."""
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    return closed


@pytest.fixture
def elsewhere(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for `/var`: where data and binaries go that could not be reached at their place."""
    monkeypatch.setattr(embedded_places, "DATA_ELSEWHERE", open_folder / "var" / "lib")
    monkeypatch.setattr(embedded_places, "BINARIES_ELSEWHERE", open_folder / "var" / "cache")
    (open_folder / "var").mkdir(mode=0o755)
    return open_folder / "var"


@pytest.fixture
def groups_of_root() -> Iterator[list[int]]:
    """Groups that this process is in for a while, as root is in `adm` or `docker` on many machines."""
    before = os.getgroups()
    os.setgroups([0, 4])
    yield [0, 4]
    os.setgroups(before)


@contextmanager
def program_of_the_same_user() -> Iterator[int]:
    """The process number of some program that runs as the user that would run Postgres."""
    program = postgres_account().spawn(["sleep", "60"], output=subprocess.DEVNULL)
    try:
        yield program.pid
    finally:
        program.kill()
        program.wait()


async def test_the_first_start_makes_a_database_that_can_be_used(open_folder: Path) -> None:
    async with started(open_folder / "home") as server:
        assert await ask(server, "select current_database() || ' of ' || current_user") == "drainwatch of drainwatch"


async def test_what_was_written_is_there_after_the_next_start(home: Path) -> None:
    async with started(home) as server:
        await ask(server, "create table kept as select 7 as n")
    async with started(home) as server:
        assert await ask(server, "select n from kept") == 7


async def test_an_acknowledged_commit_is_on_disk_unless_a_setting_says_otherwise(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder)
    await server.start()
    try:
        settings = (
            "select string_agg(current_setting(name), ' ') from unnest($${fsync,synchronous_commit}$$::text[]) name"
        )
        assert await ask(server, settings) == "on on"
    finally:
        await server.stop()


async def test_nothing_is_reachable_but_a_socket_in_a_folder_of_its_owner_alone(home: Path) -> None:
    async with started(home) as server:
        assert await ask(server, "show listen_addresses") == ""
        folder = Path(str(await ask(server, "show unix_socket_directories")))
        assert (mode_of(folder), owner_of(folder)) == (0o700, postgres_account().name)


@as_root
async def test_another_os_user_cannot_reach_the_socket(home: Path) -> None:
    async with started(home) as server:
        assert "Permission denied" in psql_as_nobody(server)


@as_root
async def test_another_os_user_who_could_reach_the_socket_is_refused_by_name(home: Path) -> None:
    async with started(home) as server:
        (home / "postgres").chmod(0o711)
        (home / "postgres" / ".s.PGSQL.5432").chmod(0o777)
        assert 'Peer authentication failed for user "drainwatch"' in psql_as_nobody(server)


@as_root
async def test_root_runs_it_as_an_unprivileged_user_without_further_groups(
    home: Path, groups_of_root: list[int]
) -> None:
    async with started(home):
        status, account = status_of(postmaster(home)), postgres_account()
        assert account.uid != 0
        assert status["Uid"] == [str(account.uid)] * 4
        assert status["Gid"] == [str(account.gid)] * 4
        assert status["Groups"] == []


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(home: Path) -> None:
    async with started(home):
        assert os.getsid(postmaster(home)) != os.getsid(0)


async def test_a_stop_leaves_no_process_and_no_socket(home: Path) -> None:
    async with started(home):
        pid = postmaster(home)
    assert not is_running(pid)
    assert not (home / "postgres" / ".s.PGSQL.5432").exists()


async def test_a_server_that_is_killed_is_started_again_with_all_that_was_committed(home: Path) -> None:
    async with started(home) as server:
        keeping = asyncio.create_task(server.keep_running())
        await ask(server, "create table kept as select 7 as n")
        killed = postmaster(home)
        os.kill(killed, signal.SIGKILL)
        assert await answer_after_a_while(server, "select n from kept") == 7
        assert postmaster(home) != killed
        keeping.cancel()


async def test_a_start_after_a_kill_waits_for_the_killed_servers_last_query(home: Path) -> None:
    async with started(home) as killed:
        conn = await asyncpg.connect(killed.url())
        # A session that computes does not look up: it holds the shared memory until it is done.
        computing = asyncio.create_task(conn.fetchval("select count(*) from generate_series(1, 4000000)"))
        await asyncio.sleep(0.1)
        os.kill(postmaster(home), signal.SIGKILL)
        async with started(home) as server:
            assert await ask(server, "select 1") == 1
        with contextlib.suppress(asyncpg.PostgresError):
            await computing
        conn.terminate()


async def test_a_server_left_behind_by_a_killed_process_is_taken_over_and_stopped_at_the_end(home: Path) -> None:
    program = f"""
import asyncio, os, pathlib
from service.store.embedded import EmbeddedPostgres
async def main():
    await EmbeddedPostgres(pathlib.Path({str(home)!r}), settings={SETTINGS!r}).start()
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program])
    assert ended.returncode == -signal.SIGKILL
    left = postmaster(home)
    async with started(home) as server:
        assert await ask(server, "select 1") == 1
        assert postmaster(home) == left
    assert not is_running(left)


async def test_two_starts_at_once_share_one_server_which_the_last_one_stops(home: Path) -> None:
    one, two = (EmbeddedPostgres(home, settings=SETTINGS) for _ in range(2))
    await asyncio.gather(one.start(), two.start())
    pid = postmaster(home)
    await one.stop()
    assert await ask(two, "select 1") == 1
    await two.stop()
    assert not is_running(pid)


async def test_a_process_number_that_another_program_has_by_now_is_not_taken_for_the_server(home: Path) -> None:
    with program_of_the_same_user() as other:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            note = home / "postgres" / name
            note.write_text(f"{other}\n{home}/postgres\n1790000000\n5432\n{home}/postgres\n\n 1 1\nready\n")
            postgres_account().own(note)
        async with started(home) as server:
            assert await ask(server, "select 1") == 1
        assert is_running(other)


async def test_a_home_with_a_long_path_gets_a_private_socket_folder_and_leaves_none(open_folder: Path) -> None:
    home = open_folder / ("a" * 60) / ("b" * 60)
    for folder in (home, home.parent):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
    async with started(home) as server:
        folder = Path(str(await ask(server, "show unix_socket_directories")))
        assert len(str(folder)) < 60
        assert mode_of(folder) == 0o700
        async with started(home) as second:
            assert second.url() == server.url()
    assert not folder.exists()


async def test_a_remembered_socket_folder_that_others_can_enter_is_not_used_again(open_folder: Path) -> None:
    account = postgres_account()
    far = open_folder / ("a" * 100)
    first = embedded_places.socket_folder(account, open_folder, far)
    assert embedded_places.socket_folder(account, open_folder, far) == first
    first.chmod(0o755)
    second = embedded_places.socket_folder(account, open_folder, far)
    assert second != first
    first.rmdir()
    second.rmdir()


@as_root
async def test_data_under_a_closed_folder_goes_elsewhere_and_the_folder_stays_closed(
    closed_folder: Path, elsewhere: Path
) -> None:
    async with started(closed_folder / "home") as server:
        assert await ask(server, "select 1") == 1
        assert (closed_folder / "home" / "postgres").resolve().parent == elsewhere / "lib"
    assert mode_of(closed_folder) == 0o700
    async with started(closed_folder / "home") as server:
        assert await ask(server, "select 1") == 1
    assert len(list((elsewhere / "lib").iterdir())) == 1


@as_root
async def test_a_home_that_was_removed_and_made_again_begins_empty(closed_folder: Path, elsewhere: Path) -> None:
    async with started(closed_folder / "home") as server:
        await ask(server, "create table kept as select 7 as n")
    shutil.rmtree(closed_folder / "home")
    async with started(closed_folder / "home") as server:
        assert await ask(server, "select to_regclass('kept')") is None


@as_root
async def test_binaries_under_a_closed_folder_are_run_from_a_copy_that_is_roots(
    closed_folder: Path, open_folder: Path, elsewhere: Path
) -> None:
    package = embedded_places.installed_binaries().parent.parent
    for part in (package, package.with_name(package.name + ".libs")):
        (closed_folder / part.name).symlink_to(part)
    async with started(open_folder / "home", binaries=closed_folder / package.name / "pginstall" / "bin") as server:
        program = program_of(postmaster(open_folder / "home"))
        assert program.is_relative_to(elsewhere / "cache")
        assert [(owner_of(path), mode_of(path)) for path in (program, *program.parents[:4])] == [("root", 0o755)] * 5
        assert await ask(server, "select 1") == 1


async def test_a_start_that_was_killed_while_making_the_data_is_made_up_for(open_folder: Path) -> None:
    half = open_folder / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with started(open_folder) as server:
        assert await ask(server, "select 1") == 1
    assert not half.exists()


@pytest.mark.parametrize("steps", [1, 2, 5])
async def test_a_start_that_is_cancelled_early_leaves_no_server(home: Path, steps: int) -> None:
    server = EmbeddedPostgres(home, settings=SETTINGS)
    starting = asyncio.create_task(server.start())
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (home / "postgres" / "postmaster.pid").exists()


async def test_a_start_that_is_cancelled_late_leaves_no_server(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder, settings=SETTINGS)
    starting = asyncio.create_task(server.start())
    while "postgres.lock" not in os.listdir(open_folder):  # noqa: ASYNC110  a file is no event
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (open_folder / "postgres" / "postmaster.pid").exists()


async def test_a_server_that_does_not_start_says_why_in_one_line(home: Path) -> None:
    server = EmbeddedPostgres(home, settings={"max_connections": "many"})
    with pytest.raises(
        SettingError, match=r'does not start on .*invalid value for parameter "max_connections": "many"'
    ) as raised:
        await server.start()
    assert "\n" not in str(raised.value)


async def test_data_of_another_version_of_postgres_is_refused_by_name(home: Path) -> None:
    async with started(home):
        pass
    (home / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(SettingError, match=r"was made by PostgreSQL 14, the installed one is \d+"):
        await EmbeddedPostgres(home).start()


@as_root
async def test_data_of_another_user_is_refused_by_name(open_folder: Path) -> None:
    data = open_folder / "postgres"
    data.mkdir()
    shutil.chown(data, "nobody")
    with pytest.raises(SettingError, match=r"belongs to user number .* but Postgres would run as drainwatch-pg"):
        await EmbeddedPostgres(open_folder).start()


async def test_a_home_that_cannot_be_made_is_refused_by_name(open_folder: Path) -> None:
    (open_folder / "file").touch()
    with pytest.raises(SettingError, match="set DRAINWATCH_HOME to a folder that can be written"):
        await EmbeddedPostgres(open_folder / "file" / "home").start()


async def test_without_the_wheel_a_start_says_what_to_install(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_places, "PACKAGES", ("no_such_wheel",))
    with pytest.raises(SettingError, match=r"pip install 'drainwatch\[embedded\]', or set DATABASE_URL"):
        await EmbeddedPostgres(open_folder).start()
