"""A Heroku error code's JSON: the same in the API and on the terminal."""

from typing_extensions import TypedDict

from parsers.catalogue import Code


class CodeJson(TypedDict):
    """A code. `severity` is that of its events; `remedy` is what to do first, null where nothing is to be done."""

    code: str
    name: str
    severity: str
    meaning: str
    remedy: str | None


def code_json(code: Code) -> CodeJson:
    """The JSON of a code of the catalogue."""
    return {
        "code": code.code,
        "name": code.name,
        "severity": code.severity.label,
        "meaning": code.meaning,
        "remedy": code.remedy or None,
    }
