"""The catalogue is complete as Heroku documents it, and whatever is not in it has a severity too."""

import pytest

from parsers.catalogue import CODES, severity_of
from parsers.event import Severity

ROUTER = [*range(10, 35), *range(80, 84), 99]
DYNO = [*range(10, 18), 99]
LOGS = [*range(10, 16), 20]


def test_every_documented_code_is_in_it_with_its_meaning() -> None:
    documented = {f"H{n}" for n in ROUTER} | {f"R{n}" for n in DYNO} | {f"L{n}" for n in LOGS}
    assert set(CODES) == documented
    assert all(code.name and code.meaning for code in CODES.values())


def test_every_error_has_a_remedy() -> None:
    assert [code.code for code in CODES.values() if code.severity >= Severity.ERROR and not code.remedy] == []


@pytest.mark.parametrize("code", ["H27", "H28", "H80", "H81", "H82", "H83"])
def test_what_a_client_or_an_operator_did_is_no_error(code: str) -> None:
    assert severity_of(code) < Severity.ERROR


@pytest.mark.parametrize("code", sorted({f"H{n}" for n in ROUTER} - {"H16", "H27", "H28", "H80", "H81", "H82", "H83"}))
def test_every_other_code_of_the_router_is_an_error(code: str) -> None:
    assert severity_of(code) >= Severity.ERROR


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("H10", "critical"),
        ("H11", "critical"),
        ("R10", "critical"),
        ("R14", "error"),
        ("R15", "critical"),
        ("R12", "warning"),
        ("L10", "warning"),
    ],
)
def test_severities(code: str, severity: str) -> None:
    assert severity_of(code) is Severity.of(severity)


@pytest.mark.parametrize(("code", "severity"), [("H35", "error"), ("R18", "error"), ("L16", "warning")])
def test_a_code_of_tomorrow_has_a_severity(code: str, severity: str) -> None:
    assert severity_of(code) is Severity.of(severity)
