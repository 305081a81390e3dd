"""What `make run` shows: the samples' events and incidents, once however often it runs, and nothing left behind."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processes import DRAINWATCH, environment_of, free_port
from service.cli.demo import OF_THE_PAUSES
from service.detect.rule_book import RuleBook
from telling import SAMPLES, scenarios

LAST_LINE = "heroku drains:add "


@contextmanager
def demo(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """A demo in a process group of its own, ended by the end."""
    environment = environment_of(home, PORT=str(port), DRAINWATCH_CONFIG=str(SAMPLES / "drainwatch.toml"))
    process = subprocess.Popen(
        [DRAINWATCH, "demo"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def shown(process: subprocess.Popen[str]) -> list[str]:
    """The lines up to the last that is printed before it only serves."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.strip())
        if line.strip().startswith(LAST_LINE):
            return lines
    pytest.fail("it ended before it had shown all: " + "\n".join(lines))


def ended(process: subprocess.Popen[str]) -> int:
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(60)


def test_it_shows_what_the_samples_hold_once_and_leaves_no_process(open_folder: Path) -> None:
    home, port = open_folder / "home", free_port()
    with demo(home, port) as process:
        first = shown(process)
        assert ended(process) == 0
    with demo(home, port) as process:
        second = shown(process)
        assert ended(process) == 0
    assert not list(home.resolve().glob("postgres/postmaster.pid"))

    for lines in (first, second):
        silent = sum(f"  {OF_THE_PAUSES} " in line for line in lines)
        found = [int(line.split()[0]) - silent for line in lines if re.fullmatch(r"\d+ incidents", line)]
        assert found == [_expected()]
    assert [line for line in first if re.fullmatch(r"\d+ events", line)] == [
        line for line in second if re.fullmatch(r"\d+ events", line)
    ]
    incidents = [line.split() for line in first if "/v1/incidents/" in line]
    assert {line[2] for line in incidents} == {rule.name for rule in RuleBook().for_app("", "")}
    assert all(line[-1].startswith(f"http://127.0.0.1:{port}/v1/incidents/") for line in incidents)
    assert f"http://127.0.0.1:{port}/v1/errors" in first
    assert first[-1].startswith(f"{LAST_LINE}http://my-app:")


def _expected() -> int:
    return sum(told.rule != OF_THE_PAUSES for one in scenarios() for told in one.incidents)
