import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from vocabulary import boot_timeout, frame_of, message, router_line

from .conftest import Run


async def test_bodies_and_printed_lines_become_events_as_json_lines(run: Run, tmp_path: Path) -> None:
    body, printed = tmp_path / "body", tmp_path / "printed.log"
    body.write_bytes(frame_of(router_line(code="H12"), message("app", "web.1", "nothing"), boot_timeout("web.1")))
    printed.write_text("2026-05-11T12:00:00+00:00 heroku[web.1]: State changed from up to crashed\n")

    ran = await run("parse", str(body), str(printed), "--app", "shop")

    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [(event["kind"], event["code"]) for event in events] == [
        ("router_error", "H12"),
        ("dyno_error", "R10"),
        ("dyno_state", None),
    ]
    assert {(event["id"], event["app"], event["environment"]) for event in events} == {(None, "shop", "production")}
    assert "2 events in 3 lines" in ran.err


async def test_a_challenge_store_in_memory_is_flagged_in_production_only(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(message("app", "web.1", "webauthn.challenge_stored store=memory user_id=7"))

    production = json.loads((await run("parse", str(file))).out)
    staging = json.loads((await run("parse", str(file), "--environment", "staging")).out)

    assert (production["severity"], production["flags"]) == ("critical", ["memory_store_on_production"])
    assert (staging["severity"], staging["flags"]) == ("info", [])


async def test_damage_is_told_with_its_reason_and_costs_no_good_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"garbage" + router_line(code="H12"))

    ran = await run("parse", str(file))

    assert len(ran.out.splitlines()) == 1
    assert "7 bytes that no line is made of: " in ran.err
    assert (await run("parse", str(tmp_path / "nothing"))).status == 1


async def test_a_trace_is_one_event_whichever_way_its_lines_come(run: Run, tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):", '  File "/app/a.py", line 1, in f', "KeyError: 'x'"]
    body, printed = tmp_path / "body", tmp_path / "printed.log"
    body.write_bytes(frame_of(*(message("app", "web.1", line) for line in lines)))
    printed.write_text("".join(f"2026-05-11T12:00:00+00:00 app[web.1]: {line}\n" for line in lines))

    (one,), (other,) = [(await run("parse", str(file))).out.splitlines() for file in (body, printed)]

    assert json.loads(one)["kind"] == "traceback"
    assert json.loads(one)["fields"] == json.loads(other)["fields"]


def test_on_a_terminal_events_are_aligned_and_coloured(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(frame_of(router_line(code="H12", path="/\x1b[2J"), boot_timeout("web.1")))

    shown = on_a_terminal("parse", str(file))

    head, first, second, *_ = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert "\x1b[31merror" in shown
    assert "\x1b[2J" not in shown
    assert head.index("CODE") == first.index("H12") == second.index("R10")
    assert on_a_terminal("parse", str(file), "--json").startswith('{"id": null')


def on_a_terminal(*arguments: str) -> str:
    """What the command prints where standard output is a terminal, 120 columns wide."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": "120", "TERM": "xterm-256color"}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-c", "from service.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environ)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # on Linux, the end
        while more := os.read(ours, 65536):
            said += more
    os.close(ours)
    assert process.wait() == 0
    return said.decode().replace("\r\n", "\n")
