"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print what the API answers.")]
App = Annotated[str | None, typer.Option(help="Only of this app.")]
Environment = Annotated[str | None, typer.Option(help="Only of apps used for this.")]
Since = Annotated[str | None, typer.Option(help="From then on: RFC 3339, or 15m, 2h, 7d ago.")]
Until = Annotated[str | None, typer.Option(help="Before then: RFC 3339, or 15m, 2h, 7d ago.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
Filter = Annotated[
    str | None, typer.Argument(metavar="[FILTER]", help="Only what is in this filter: 'code:H12 service_ms>5000'.")
]
Dyno = Annotated[str | None, typer.Option(help="Only about this dyno: web.1")]
Code = Annotated[str | None, typer.Option(help="Only with this code: H12, R14, L10, …")]
Kind = Annotated[str | None, typer.Option(help="Only of this kind: router_error, dyno_error, …")]
