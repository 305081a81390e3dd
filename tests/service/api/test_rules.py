"""What is in force, and where each number comes from."""

from dataclasses import replace
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI

from keeping import PUBLIC_URL, drain_of
from service import api
from service.access import Access
from service.api import Api
from service.detect.rule_book import RuleBook

from .conftest import ADMIN, Asking

OWN: list[dict[str, Any]] = [
    {"name": "request_timeouts", "count": 20},
    {"name": "request_timeouts", "app": "shop-*", "count": 5},
    {"name": "memory_quota", "environment": "staging", "enabled": False},
]


@pytest_asyncio.fixture(loop_scope="session")
async def asked(ask: Asking) -> Any:
    app = FastAPI()
    rules = RuleBook([(table, "drainwatch.toml") for table in OWN])
    api.install(app, Api(ask.db, Access(ask.db, admin_token=ADMIN), PUBLIC_URL, rules=rules))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://drainwatch") as http:
        yield replace(ask, http=http)


async def rules(ask: Asking, **params: str) -> dict[str, Any]:
    answer = await ask("GET", "/v1/rules", params=params)
    assert answer.status_code == 200
    return {one["name"]: one for one in answer.json()["items"]}


def said(rule: dict[str, Any], field: str) -> list[Any]:
    return [(one["value"], one["source"]) for one in rule["fields"] if one["field"] == field]


async def test_each_field_says_which_file_it_comes_from(asked: Asking) -> None:
    rule = (await rules(asked))["request_timeouts"]
    assert said(rule, "count") == [(20, "drainwatch.toml")]
    assert said(rule, "within") == [("5m", "built-in")]
    assert (rule["sources"], rule["severity"], rule["enabled"]) == (["built-in", "drainwatch.toml"], "error", True)
    assert [(one["app"], [said["value"] for said in one["fields"]]) for one in rule["limited"]] == [
        ("shop-*", ["shop-*", 5])
    ]


async def test_for_an_app_it_is_as_it_holds_there(asked: Asking) -> None:
    await drain_of(asked.db, "shop-staging", "staging")
    here = await rules(asked, app="shop-staging")
    assert said(here["request_timeouts"], "count") == [(5, "drainwatch.toml")]
    assert not here["memory_quota"]["enabled"]
    elsewhere = await rules(asked, app="docs", environment="production")
    assert said(elsewhere["request_timeouts"], "count") == [(20, "drainwatch.toml")]
    assert elsewhere["memory_quota"]["enabled"]
    assert elsewhere["memory_quota"]["severity"] == "critical"  # of its R15


async def test_an_environment_without_an_app_is_refused(asked: Asking) -> None:
    answer = await asked("GET", "/v1/rules", params={"environment": "staging"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "environment")
