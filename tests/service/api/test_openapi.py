"""The API's description is complete enough to make a client from it, and docs/api.md is made from it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from service.api import apps, quarantine, releases, tokens
from service.api.examples import EXAMPLES
from service.api.markdown import markdown_of
from service.api.openapi import operations
from service.app import create_app
from service.settings import read_settings
from service.store.database import Database
from service.store.pages import read_cursor
from service.wire import code, event, line, stats, traffic

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
# Where the shapes of the examples are.
_MODULES = (apps, quarantine, releases, tokens, code, event, line, stats, traffic)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(read_settings({}), Database.open("postgres://localhost/none"))
    return app.openapi()


def test_every_operation_has_a_short_name_of_its_own(document: dict[str, Any]) -> None:
    names = Counter(operation["operationId"] for _, _, operation in operations(document))

    assert [name for name, times in names.items() if times > 1] == []
    assert all(name.isidentifier() and len(name) < 32 for name in names), names


def test_every_parameter_says_what_it_is_and_has_an_example_or_its_values(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            shown = parameter.get("example") or schema.get("default") or schema.get("enum") or schema.get("anyOf")
            assert parameter.get("description"), (method, path, parameter)
            assert shown is not None or schema["type"] == "boolean", (method, path, parameter)
            assert {"type": "null"} not in schema.get("anyOf", ()), (method, path, parameter)


def test_every_answer_is_described_and_every_problem_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            assert answer["description"] not in ("", "Successful Response"), (method, path, status)
            for media, content in answer.get("content", {}).items():
                assert content["schema"], (method, path, status)
                if media == "application/problem+json":
                    assert content["example"]["title"], (method, path, status)


def test_whatever_takes_an_id_is_linked_from_what_gives_it(document: dict[str, Any]) -> None:
    links = [
        link
        for _, _, operation in operations(document)
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    taking = {operation["operationId"] for _, path, operation in operations(document) if "{id}" in path}

    assert {link["operationId"] for link in links} == taking
    made = document["paths"]["/v1/webhooks"]["post"]["responses"]["201"]["links"]["list_deliveries"]
    assert made["parameters"] == {"id": "$response.body#/id"}
    listed = document["paths"]["/v1/errors"]["get"]["responses"]["200"]["links"]["one_event"]
    assert listed["parameters"] == {"id": "$response.body#/items/0/id"}


def test_the_example_of_a_cursor_is_one_of_its_list(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == "cursor":
                assert read_cursor(parameter["example"], of=path.rpartition("/")[2]), path


def test_examples_have_the_shape_that_they_are_examples_of(document: dict[str, Any]) -> None:
    for name, example in EXAMPLES.items():
        assert document["components"]["schemas"][name]["examples"] == [example], name
        short = name.rpartition("__")[2]
        shape = next(vars(module)[short] for module in _MODULES if short in vars(module))
        assert TypeAdapter(shape).validate_python(example, strict=True) == example, name


def test_what_lists_of_this_room_hold_has_an_example(document: dict[str, Any]) -> None:
    for path in (
        "errors",
        "events",
        "lines",
        "apps",
        "dynos",
        "releases",
        "promotions",
        "codes",
        "tokens",
        "quarantine",
    ):
        answer = document["paths"][f"/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]
        page = document["components"]["schemas"][answer["schema"]["$ref"].rpartition("/")[2]]
        item = page["properties"]["items"]["items"]["$ref"].rpartition("/")[2]
        assert document["components"]["schemas"][item]["examples"], path


def test_the_document_for_people_is_made_from_it(document: dict[str, Any]) -> None:
    made = markdown_of(document)

    assert made == DOCS.read_text(), "docs/api.md is old: python docs/make_api.py > docs/api.md"
    for _, path, _ in operations(document):
        assert path in made
