"""A Postgres server on a data directory of ours: made, started, found, stopped. Blocking; `embedded.py` runs it in threads.

`pg_ctl` is not used: it starts the server as nobody's child and answers after its own time limits. The server is found
again by its `postmaster.pid`, which it writes and removes itself, and which a kill -9 of it leaves behind.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import SettingError
from service.store.os_account import Account

ROLE = "drainwatch"
SOCKET = ".s.PGSQL.5432"

# Replay of the write-ahead log after a crash: 2 GB of it (max_wal_size) from a slow disk.
START_SECONDS = 60.0
# A fast shutdown writes all that is in memory to disk. The whole process has 20 s to end in.
STOP_SECONDS = 8.0

# Warnings and worse are all that is logged; this much of them only when something goes wrong again and again.
LOG_BYTES = 8 * 1024 * 1024

# For a durable log store that shares a small machine with drainwatch. Not wal_compression: the wheel's Postgres has no lz4,
# and what is large here is compressed already.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "drainwatch",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",  # plans here are short, compiling them is not
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # its details show rows: people's log lines, which are kept out of logs
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory and what runs it. `data` belongs to `account`, mode 0700; `sockets` is a folder that only `account`
    (and root) can enter; `admits` names the OS users that may connect, all as the role `drainwatch`."""

    binaries: Path
    data: Path
    sockets: Path
    log: Path
    account: Account
    admits: tuple[str, ...]
    settings: Mapping[str, str]


@dataclass(slots=True)
class Server:
    """A running server. `child` is None where another process started it."""

    pid: int
    child: "subprocess.Popen[bytes] | None" = None

    def runs(self) -> bool:
        """Whether its process is there (a child that has ended is reaped)."""
        return self.child.poll() is None if self.child is not None else _exists(self.pid)


def make(account: Account, binaries: Path, data: Path, *, sync: bool = True) -> None:
    """Makes the data directory `data`: whole or not at all, however this ends (if `sync`, also when the machine crashes
    next). Raises SettingError with initdb's reason."""
    new = data.with_name(data.name + ".new")
    if new.exists():  # an earlier try that was killed
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    account.own(new)
    # C: the same order and the same speed on every machine. No host lines at all; local ones are written before each start.
    options = ["--username", ROLE, "--encoding", "UTF8", "--locale", "C", "--auth", "reject", "--data-checksums"]
    options += ["--no-instructions"] if sync else ["--no-instructions", "--no-sync"]
    made = account.run([binaries / "initdb", *options, "--pgdata", new])
    if made.returncode:
        shutil.rmtree(new, ignore_errors=True)
        said = (made.stderr.strip() or made.stdout.strip() or f"status {made.returncode}").splitlines()
        raise SettingError(f"initdb cannot make the embedded database in {data}: {said[-1]}; set DATABASE_URL instead")
    new.rename(data)


def find(account: Account, data: Path) -> Server | None:
    """The server that runs on the data directory `data`, perhaps still starting; None where none does."""
    pid = _noted(data / "postmaster.pid")
    return Server(pid) if pid is not None and _is_postgres(account, pid, data) else None


def sockets_of(data: Path) -> Path:
    """Where the server that runs on `data` has its socket: there, as a rule."""
    lines = _lines(data / "postmaster.pid")
    return Path(lines[4]) if len(lines) > 4 and lines[4] and not (data / SOCKET).exists() else data


def start(cluster: Cluster) -> Server:
    """Starts a server and returns once it accepts connections. Raises SettingError with the log's last lines where it ends
    instead, or does not get there within a minute.

    Call it only where `find` says None and nobody else is starting.
    """
    _forget_stale(cluster)
    _admit(cluster)
    give_up = time.monotonic() + START_SECONDS
    while True:
        said_before = _begin_log(cluster.log)
        server = _spawn(cluster)
        if wait_ready(cluster, server, give_up):
            return server
        stop(server, seconds=1)
        said = _last_lines(cluster.log, said_before)
        # After a kill -9 of the postmaster its children live on for a moment, and hold the shared memory.
        if "shared memory block" not in said or time.monotonic() > give_up:
            raise SettingError(
                f"the embedded Postgres does not start on {cluster.data}: {said}; see {cluster.log}, or set DATABASE_URL"
            )
        time.sleep(0.1)


def wait_ready(cluster: Cluster, server: Server, until: float) -> bool:
    """Whether `server` accepts connections, as soon as it does; False once it has ended or `until` (monotonic) is past."""
    while server.runs() and time.monotonic() < until:
        lines = _lines(cluster.data / "postmaster.pid")
        # Line 1 is the process, line 8 its state (PostgreSQL: src/include/utils/pidfile.h).
        if len(lines) >= 8 and lines[0] == str(server.pid) and lines[7] == "ready":
            return True
        time.sleep(0.01)
    return False


def stop(server: Server, *, seconds: float = STOP_SECONDS) -> None:
    """Ends the server: fast (sessions are ended, all is written), after `seconds` at once (it will replay its log), and at
    last by force. Returns when its process is gone."""
    for number, wait in ((signal.SIGINT, seconds), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
        if not server.runs():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, number)
        until = time.monotonic() + wait
        while server.runs() and time.monotonic() < until:
            time.sleep(0.01)


def bound_log(log: Path) -> None:
    """Empties the running server's log where it has grown beyond its bound; the server goes on at its begin."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_BYTES:
            os.truncate(log, 0)


def _begin_log(log: Path) -> int:
    # What the last run said stays, unless it is much. Gives the place at which this run begins.
    bound_log(log)
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _spawn(cluster: Cluster) -> Server:
    settings = {**SETTINGS, **cluster.settings, "unix_socket_directories": str(cluster.sockets)}
    command: list[str | Path] = [cluster.binaries / "postgres", "-D", cluster.data]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = os.open(cluster.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        child = cluster.account.spawn(command, output=log)
    finally:
        os.close(log)
    return Server(child.pid, child)


def _admit(cluster: Cluster) -> None:
    # `peer`: the kernel says which OS user has connected. Written as the account itself: root follows no link of its.
    admitted = "".join(f'owner "{name}" {ROLE}\n' for name in dict.fromkeys(cluster.admits))
    for name, content in (("pg_hba.conf", "local all all peer map=owner\n"), ("pg_ident.conf", admitted)):
        wrote = cluster.account.run(["/bin/sh", "-c", 'cat > "$1"', "sh", cluster.data / name], stdin=content)
        if wrote.returncode:
            raise SettingError(f"{cluster.data / name} cannot be written: {wrote.stderr.strip()}")


def _forget_stale(cluster: Cluster) -> None:
    # Both files hold the server's process number. Left by a kill -9, they keep Postgres from starting while any process of
    # its user has that number: another program (in a container, numbers come again at each start, so for good), or the
    # killed one until its parent has looked. Sessions that outlive their server are known by its shared memory.
    for note in (cluster.data / "postmaster.pid", cluster.sockets / f"{SOCKET}.lock"):
        pid = _noted(note)
        if pid is not None and _is_taken(pid) and not _is_postgres(cluster.account, pid, cluster.data):
            note.unlink(missing_ok=True)


def _lines(note: Path) -> list[str]:
    try:
        return [line.strip() for line in note.read_text().splitlines()]
    except OSError:
        return []


def _noted(note: Path) -> int | None:
    lines = _lines(note)
    return int(lines[0]) if lines and lines[0].isdigit() and int(lines[0]) > 1 else None


def _is_postgres(account: Account, pid: int, data: Path) -> bool:
    # A server's working directory is its data directory. Asked as its own user: in a container root may not look.
    if sys.platform == "linux":
        asked = account.run(["/bin/sh", "-c", 'test "/proc/$1/cwd" -ef "$2"', "sh", str(pid), data])
    else:
        asked = account.run(["/bin/sh", "-c", 'ps -o comm= -p "$1" | grep -q "postgres$"', "sh", str(pid)])
    return asked.returncode == 0


def _exists(pid: int) -> bool:
    if not _is_taken(pid):
        return False
    try:  # One that has ended and whose parent has not looked yet is gone for us; only Linux tells.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return sys.platform != "linux"


def _is_taken(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_lines(log: Path, begin: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    telling = [
        line for line in lines if any(word in line for word in ("FATAL", "PANIC", "HINT", "error while loading"))
    ]
    return " | ".join((telling or lines)[-3:]) or "it wrote nothing"
