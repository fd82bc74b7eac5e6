"""One's own password: the old one is asked, and other sessions end (staging.console.me)."""

from __future__ import annotations

import pytest

from staging.console.call import COOKIE
from staging.identity.passwords import hash_password, matches
from staging.identity.rights import Role
from staging.store import accounts
from staging.store.models import Account
from staging.times import now_ms
from tests.staging.console.bare import Bare

pytestmark = pytest.mark.one_database

OLD, NEW = "the password of before", "another long password"
PATH = "/api/me/password"


@pytest.fixture
def account(bare: Bare) -> Account:
    hashed = hash_password(OLD)
    return bare.database.call(accounts.add, "ada", hashed, now_ms(), Role.TESTER)


async def test_the_session_goes_on_and_the_others_end(bare: Bare, account: Account) -> None:
    async with bare.client(account) as mine, bare.client(account) as other:
        before = mine.cookies[COOKIE]
        changed = await mine.post(PATH, json={"old": OLD, "new": NEW})
        assert (changed.status_code, changed.json()["user"]) == (200, "ada")
        assert changed.cookies[COOKIE] != before
        mine.cookies.clear()
        mine.cookies.set(COOKIE, changed.cookies[COOKIE])
        again = {"X-CSRF-Token": changed.json()["csrf"]}
        assert (await mine.get("/api/devices")).status_code == 200
        assert (await other.get("/api/devices")).status_code == 401
        wrong = await mine.post(PATH, json={"old": OLD, "new": f"{NEW}!"}, headers=again)
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "wrong_password")
        assert (await mine.get("/api/devices")).status_code == 200
    stored = bare.database.call(accounts.login, "ada")
    assert stored is not None
    assert matches(NEW, stored.password)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"old": OLD}, "new: missing"),
        ({"old": OLD, "new": "short"}, "expected 8 to 256 characters"),
        ({"old": OLD, "new": OLD}, "expected another password than the old one"),
        ({"old": OLD, "new": "x" * 257}, "new: got a str that is not shown"),
        ({"old": 5, "new": NEW}, "old: got a int that is not shown"),
    ],
)
async def test_what_is_no_password_is_refused(
    bare: Bare, account: Account, body: dict[str, object], says: str
) -> None:
    async with bare.client(account) as client:
        answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "refused")
    assert says in answer.json()["error"]["message"]
    assert OLD not in answer.text
