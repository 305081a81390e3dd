from parsers.catalogue import CODES

from .conftest import Run


async def test_codes_are_a_table_for_people_and_json_for_programs(run: Run) -> None:
    shown = await run("codes")
    assert len(shown.out.splitlines()) == 1 + len(CODES)
    assert "H14   critical  No web processes running" in shown.out
    assert [one["code"] for one in (await run("codes", "--json")).json()["items"]] == list(CODES)


async def test_one_code_is_shown_whole_in_any_case_of_letters(run: Run) -> None:
    shown = await run("codes", "r14")
    assert shown.out.splitlines() == ["R14 error Memory quota exceeded", CODES["R14"].meaning, CODES["R14"].remedy]
    assert (await run("codes", "H28", "--json")).json()["remedy"] is None


async def test_an_unknown_code_is_one_line_and_exit_status_1(run: Run) -> None:
    ran = await run("codes", "H98\x1b[2J")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "drainwatch: 'H98·[2J' is no code that Heroku has documented; `drainwatch codes` lists them\n"
