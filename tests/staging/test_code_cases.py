"""Each code of the document's table, by the request that the explorer prepares for it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from staging import code_cases
from staging.api.envelope import PREFIX
from staging.code_cases import CODES, Case
from staging.errors import ErrorCode
from staging.identity.signature import new_nonce, sign
from staging.store.models import Account, App, Device, Package, Product

pytestmark = pytest.mark.one_database


async def sent(cloud: Any, case: Case) -> httpx.Response:
    headers = {
        "X-IOT-APP": case.app.apikey,
        "X-IOT-Signature": sign(new_nonce(), case.app.apikey, case.app.secret, case.token),
        "X-IOT-Token": case.token,
    }
    place: dict[str, Any] = {"params": case.query} if case.body is None else {"json": case.body}
    answer: httpx.Response = await cloud.http.request(
        case.method, PREFIX + case.path, headers=headers, **place
    )
    return answer


async def test_each_request_is_answered_with_its_code(cloud: Any) -> None:
    assert {str(int(code)) for code in ErrorCode} < set(CODES)
    for code in (*CODES, *reversed(CODES)):  # in any order, and again
        case = cloud.database.call(code_cases.prepare, code, cloud.clock())
        assert str((await sent(cloud, case)).json()["code"]) == code


def test_what_they_are_about_is_made_once_and_reaches_nothing_else(cloud: Any) -> None:
    def count(session: Any) -> list[int]:
        tables = (Product, Device, App, Account, Package)
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]

    case = cloud.database.call(code_cases.prepare, "0", cloud.clock())
    before = cloud.database.call(count)
    for code in CODES:
        cloud.database.call(code_cases.prepare, code, cloud.clock())
    assert cloud.database.call(count) == before
    assert case.app.secret not in repr(case)
    assert case.token not in repr(case)


async def test_its_app_reaches_no_other_product(cloud: Any) -> None:
    case = cloud.database.call(code_cases.prepare, "0", cloud.clock())
    foreign = Case(
        "GET",
        "/device/info/by_uuid",
        case.app,
        case.token,
        case.user,
        {"deviceUuid": cloud.device.uuid},
    )
    assert (await sent(cloud, foreign)).json()["code"] == "1223"
