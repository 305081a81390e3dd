"""doctor: is everything reachable, migrated, configured; what is silent, what lags?"""

import typer

from service.cli.options import Json

app = typer.Typer()


@app.command()
def doctor(json: Json = False) -> int:
    """Say what is wrong with the service, why it matters, and what to type. Exit status 1 where something is."""
    from rich.text import Text

    from service.cli import client, show

    found = client.ask("GET", "/v1/doctor")
    if json:
        show.as_json(found)
        return 1 if found["findings"] else 0
    out = show.console()
    for one in found["findings"]:
        out.print(
            Text.assemble(show.severity(one["severity"]), "  ", (show.plain(one["what"]), "bold")), soft_wrap=True
        )
        out.print(Text(f"  {show.plain(one['why'])}"), soft_wrap=True)
        for line in one["type"]:
            out.print(Text(f"    {show.plain(line)}", style="dim"), soft_wrap=True)
        out.print()
    if found["saw"]:
        show.note("; ".join(found["saw"]))
    if not found["findings"]:
        show.note("all is well")
    return 1 if found["findings"] else 0
