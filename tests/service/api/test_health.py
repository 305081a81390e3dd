import re

from sqlalchemy import text

from .conftest import Asking


async def test_health_and_documents_are_open_to_all(ask: Asking) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert (await ask("GET", path, token=None)).status_code == 200, path
    assert (await ask("HEAD", "/healthz", token=None)).status_code == 200


async def test_an_older_schema_is_not_ready_and_says_so(ask: Asking) -> None:
    async with ask.db.begin() as conn:
        before = await conn.scalar(text("select version_num from alembic_version"))
        await conn.execute(text("update alembic_version set version_num = '0000'"))

    answer = await ask("GET", "/readyz")

    async with ask.db.begin() as conn:
        await conn.execute(text("update alembic_version set version_num = :before"), {"before": before})

    assert answer.status_code == 503
    assert "schema" in answer.json()["detail"]


async def test_every_operation_is_described_with_its_parameters_and_its_refusals(ask: Asking) -> None:
    described = await ask.get("/openapi.json")

    assert "422" not in str(described)
    operations = [(path, way) for path, ways in described["paths"].items() for way in ways.values()]
    assert len(operations) > 20
    for path, way in operations:
        assert way["summary"], path
        assert way["description"], path
        for parameter in way.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], (path, parameter)
        if path.startswith("/v1/"):
            assert way["security"] == [{"HTTPBearer": []}], path
            assert {"400", "401", "403"} <= set(way["responses"]), path
            refusal = way["responses"]["400"]["content"]
            assert refusal["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        if "{id}" in path:
            assert "404" in way["responses"], path
    for name, schema in described["components"]["schemas"].items():
        assert schema.get("description") or name.startswith("PageJson"), name


async def test_the_page_for_people_names_every_operation_and_loads_nothing_from_elsewhere(ask: Asking) -> None:
    described = await ask.get("/openapi.json")

    page = await ask("GET", "/docs", token=None)

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path, ways in described["paths"].items():
        for method in ways:
            assert f"<code>{method.upper()} {path}</code>" in page.text
    for name in described["components"]["schemas"]:
        assert f'id="{name}"' in page.text
    assert not re.search(r"<script|<link|<img|src=|https?://(?!example|logs)", page.text)
