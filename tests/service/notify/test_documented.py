"""docs/webhooks.md names every type, format and option there is."""

from pathlib import Path

import pytest

from service.cli.webhooks import app
from service.notify.formats import FORMATS
from service.notify.notification import TEST, TYPES

DOCS = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()


@pytest.mark.parametrize("name", [*TYPES, TEST, *FORMATS])
def test_every_type_and_format_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS


def test_every_command_is_documented() -> None:
    for command in app.registered_commands:
        if command.name not in ("list", "disable", "remove"):  # which say it all themselves
            assert f"drainwatch webhook {command.name}" in " ".join(DOCS.split()), command.name
