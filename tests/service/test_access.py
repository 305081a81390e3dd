import stat
from pathlib import Path

import pytest

from keeping import status_of
from service import access
from service.access import Access, Scope
from service.errors import Refused, SettingError
from service.store.database import Database


async def test_a_token_allows_its_scope_and_what_lies_below(db: Database) -> None:
    _, token = await access.create(db, name="grafana", scope="write")
    checks = Access(db, admin_token=None)

    for needed in (Scope.READ, Scope.WRITE):
        caller = await checks.check(f"Bearer {token}", needed)
        assert (caller.name, caller.scope) == ("grafana", Scope.WRITE)
    with pytest.raises(Refused, match="has the scope write; expected admin") as refused:
        await checks.check(f"Bearer {token}", Scope.ADMIN)
    assert refused.value.status == 403


async def test_no_token_and_a_wrong_one_are_401(db: Database) -> None:
    await access.create(db, name="grafana", scope="read")
    checks = Access(db, admin_token="dw_admin")

    for header in (None, "", "Bearer", "Bearer  ", "Basic abc", "Bearer dw_wrong", "Bearer \udcff", "Bearer dw_admin2"):
        with pytest.raises(Refused) as refused:
            await checks.check(header, Scope.READ)
        assert refused.value.status == 401, header


async def test_a_revoked_token_is_refused_at_once(db: Database) -> None:
    made, token = await access.create(db, name="grafana", scope="read")
    checks = Access(db, admin_token=None)
    await checks.check(f"Bearer {token}", Scope.READ)

    await access.revoke(db, made.id)

    with pytest.raises(Refused, match="unknown or revoked"):
        await checks.check(f"Bearer {token}", Scope.READ)
    assert await access.listed(db) == []


async def test_a_token_is_shown_once_and_stored_as_a_hash(db: Database) -> None:
    made, token = await access.create(db, name="grafana", scope="read")

    assert token.startswith("dw_")
    assert len(token) == 46
    async with db.read() as conn:
        rows = (await conn.exec_driver_sql("select tokens::text from tokens")).scalars().all()
    assert token not in str(rows)
    assert made in await access.listed(db)


async def test_a_token_shows_when_it_was_last_used(db: Database) -> None:
    _, token = await access.create(db, name="grafana", scope="read")
    before = (await access.listed(db))[0].used_at

    await Access(db, admin_token=None).check(f"Bearer {token}", Scope.READ)

    assert before is None
    assert (await access.listed(db))[0].used_at is not None


async def test_a_wrong_name_or_scope_is_refused(db: Database) -> None:
    for values, parameter in (
        ({"name": "", "scope": "read"}, "name"),
        ({"name": "x" * 101, "scope": "read"}, "name"),
        ({"name": "a\nb", "scope": "read"}, "name"),
        ({"name": "grafana", "scope": "root"}, "scope"),
    ):
        with pytest.raises(Refused) as refused:
            await access.create(db, **values)
        assert status_of(refused.value) == (400, parameter)


async def test_the_admin_token_needs_no_database() -> None:
    away = Access(Database.open("postgres://127.0.0.1:1/none"), admin_token="dw_admin")

    assert (await away.check("bearer dw_admin", Scope.ADMIN)).scope is Scope.ADMIN


def test_the_first_start_leaves_an_admin_token_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"

    token, made = access.ensure_admin_token(home)

    assert made
    assert token.startswith("dw_")
    assert access.kept_admin_token(home) == token
    assert stat.S_IMODE((home / "admin-token").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == ["admin-token"]


def test_a_later_start_finds_the_same_admin_token(tmp_path: Path) -> None:
    token, _ = access.ensure_admin_token(tmp_path)

    assert access.ensure_admin_token(tmp_path) == (token, False)


def test_a_home_that_cannot_be_written_to_ends_the_start_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingError, match=r"DRAINWATCH_HOME is .*file"):
        access.ensure_admin_token(tmp_path / "file")
