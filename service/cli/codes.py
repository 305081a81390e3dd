"""codes: what Heroku's error codes mean, offline."""

from typing import Annotated

import typer

from service.cli.options import Json

app = typer.Typer()


@app.command()
def codes(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Only this one: H12, R14, L10, …")] = None,
    json: Json = False,
) -> None:
    """Show what Heroku's codes mean and what to do first; or one of them, whole."""
    from parsers.catalogue import CODES
    from service.cli import show
    from service.errors import DrainwatchError
    from service.wire.code import code_json

    if code is not None:
        known = CODES.get(code.upper())
        if known is None:
            raise DrainwatchError(
                f"{show.plain(code)[:80]!r} is no code that Heroku has documented; `drainwatch codes` lists them"
            )
        if json:
            show.as_json(code_json(known))
            return
        out = show.console()
        out.print(known.code, show.severity(known.severity.label), known.name)
        out.print(known.meaning)
        if known.remedy:
            out.print(known.remedy)
        return
    every = [code_json(one) for one in CODES.values()]
    if json:
        show.as_json({"items": every, "next_cursor": None})
        return
    rows = [(one["code"], show.severity(one["severity"]), one["name"], one["remedy"] or "–") for one in every]
    show.table(("code", "severity", "name", "first remedy"), rows, empty="no codes")
