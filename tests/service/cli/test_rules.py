"""rules list, show, check."""

from pathlib import Path

import pytest

from .conftest import Run

OWN = """
[[rules]]
name = "request_timeouts"
count = 20

[[rules]]
name = "request_timeouts"
app = "shop-*"
count = 5
"""
WRONG = """
[[rules]]
name = "request_timeouts"
count = "many"

[[rules]]
name = "slow"
detector = "threshold"
match = "kind:shop"
count = 1
within = "5m"
severity = "error"
quiet = "5m"
title = "slow"
diagnosis = "slow"
inhibits = ["slwo"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "drainwatch.toml"
    path.write_text(OWN)
    monkeypatch.setenv("DRAINWATCH_CONFIG", str(path))
    return path


async def test_rules_are_listed_with_their_numbers_and_the_files_they_come_from(here: Run, config: Path) -> None:
    shown = (await here("rules", "list")).out.splitlines()
    [line] = [line for line in shown if line.startswith("request_timeouts")]
    assert line.split()[:2] == ["request_timeouts", "error"]
    assert f"built-in, {config}, and 1 for some apps" in line
    assert "count=20" in line
    assert "count=5 " in next(
        line
        for line in (await here("rules", "list", "--app", "shop-x")).out.splitlines()
        if line.startswith("request_t")
    )


async def test_one_rule_is_shown_with_where_each_field_stands(here: Run, config: Path) -> None:
    shown = (await here("rules", "show", "request_timeouts")).out
    assert next(line.split() for line in shown.splitlines() if line.startswith("count")) == ["count", str(config), "20"]
    assert next(line.split() for line in shown.splitlines() if line.startswith("within")) == [
        "within",
        "built-in",
        '"5m"',
    ]
    assert "where app=shop-*:" in shown
    assert (await here("rules", "show", "request_timeouts", "--json")).json()["name"] == "request_timeouts"


async def test_a_rule_that_is_not_there_is_one_line(here: Run) -> None:
    ran = await here("rules", "show", "crash")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "drainwatch: there is no rule 'crash'; `drainwatch rules list` lists them\n"


async def test_check_says_everything_that_is_wrong_and_ends_with_1(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(WRONG)
    ran = await run("rules", "check", str(path))
    assert ran.status == 1
    assert ran.out.splitlines() == [
        f'{path}: rule request_timeouts: count: "many"; expected a number, 1 or more',
        f'{path}: rule slow: inhibits: "slwo"; expected the name of a rule',
    ]
    assert len((await run("rules", "check", str(path), "--json")).json()["wrong"]) == 2


async def test_check_finds_nothing_in_what_would_start(run: Run, config: Path) -> None:
    ran = await run("rules", "check")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "2 rule tables, 0 mistakes\n"


async def test_check_says_what_is_wrong_in_the_rest_of_the_file_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('[[apps]]\nnmae = "a"\n')
    ran = await run("rules", "check", str(path))
    assert (ran.status, len(ran.out.splitlines())) == (1, 1)
    assert "app (without a name)" in ran.out
