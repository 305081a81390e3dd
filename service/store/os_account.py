"""The OS user that runs the embedded Postgres, and commands run as that user.

Postgres refuses to run as root, so root lends it an unprivileged system user of its own; anyone else runs it themselves.
Nothing here loosens the permissions of a folder: what that user cannot reach is put elsewhere (`embedded.py`).
"""

import contextlib
import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import SettingError

SYSTEM_USER = "drainwatch-pg"

# A container's bare environment is enough, and nothing of ours (PGDATA, PGOPTIONS, secrets) should reach the server.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """An OS user by name and numbers; `other` where it is not the user of this process."""

    name: str
    uid: int
    gid: int
    other: bool

    @classmethod
    def of_this_process(cls) -> "Account":
        """The user that this process runs as. Raises SettingError where its number has no name."""
        uid = os.geteuid()
        try:
            return cls(pwd.getpwuid(uid).pw_name, uid, os.getegid(), other=False)
        except KeyError:
            raise SettingError(
                f"the embedded Postgres cannot be run by user number {uid}, which has no name in /etc/passwd;"
                " add one, or set DATABASE_URL"
            ) from None

    def run(self, command: Sequence[str | Path], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs `command` as this user, with no group but its own, from `/`; its output is text. Raises OSError where it
        cannot be executed (by that user)."""
        return subprocess.run(  # noqa: S603  our own command lines
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd="/",
            env=_ENVIRONMENT,
            umask=0o077,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=() if self.other else None,
        )

    def spawn(self, command: Sequence[str | Path], *, output: int) -> "subprocess.Popen[bytes]":
        """Starts `command` as this user in a session of its own, so that Ctrl-C in our terminal does not reach it; what it
        prints goes to the file descriptor `output`."""
        return subprocess.Popen(  # noqa: S603
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=_ENVIRONMENT,
            umask=0o077,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=() if self.other else None,
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this user can reach what lies in `folder`, asked of the system itself: modes, ACLs and mounts all count."""
        return not self.other or self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0

    def version_of(self, program: Path) -> str | None:
        """The version that `program --version` tells, as `18.6`; None where this user cannot execute it."""
        try:
            answer = self.run([program, "--version"])
        except OSError:
            return None
        found = re.search(r"\b(\d+(?:\.\d+)*)", answer.stdout)
        return found[1] if answer.returncode == 0 and found else None

    def own(self, path: Path) -> None:
        """Gives `path`, which this process has made, to this user."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def postgres_account() -> Account:
    """The user that is to run Postgres: this process's own, or for root `drainwatch-pg`, which is made when missing.

    Raises SettingError where this process's user has no name (Postgres knows its users by name) or none can be made.
    """
    return _system_account() if os.geteuid() == 0 else Account.of_this_process()


def _system_account() -> Account:
    with contextlib.suppress(KeyError):
        return _named(SYSTEM_USER)
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
        said = made.stderr.strip().splitlines()
    except OSError as error:
        said = [str(error)]
    try:
        return _named(SYSTEM_USER)  # whoever made it: another process may have been first
    except KeyError:
        raise SettingError(
            f"Postgres cannot run as root, and its user {SYSTEM_USER} cannot be made ({said[-1] if said else 'useradd'});"
            f" make a system user {SYSTEM_USER}, run drainwatch as a user other than root, or set DATABASE_URL"
        ) from None


def _named(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid, other=True)
