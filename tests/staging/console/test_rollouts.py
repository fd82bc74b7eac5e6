"""One strategy over HTTP: its page's data, its phases, and what is done to it; no browser."""

from __future__ import annotations

from typing import Any

import pytest

from staging.identity.rights import Role
from staging.store import audit, devices, releases
from staging.store.audit import Filter
from staging.store.releases import Target
from tests.staging.console.bare import Bare

pytestmark = pytest.mark.one_database


async def test_a_strategy_is_planned_published_watched_and_withdrawn(bare: Bare) -> None:
    def make(session: Any) -> int:
        for _ in range(10):
            devices.add(session, None, 0)
        package = releases.add_package(session, "1.1", Target("p", 1, "0" * 32, "0" * 64), "", 0)
        return int(package.product_id)

    product = bare.database.call(make)
    headers = bare.headers(bare.account("olga", Role.OPERATOR))
    async with bare.client() as client:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            content: Any = {} if method == "GET" else {"json": body or {}}
            answer = await client.request(
                method, f"/api/strategies{path}", headers=headers, **content
            )
            return answer.status_code, answer.json()

        new = {"productId": product, "version": "1.1", "type": "SILENT", "from": [], "batches": []}
        status, wrong = await ask("POST", "", new | {"phases": ["50%", "5%"]})
        assert (status, wrong["error"]["code"]) == (400, "refused")
        assert "phases[1]" in wrong["error"]["message"]
        assert (await ask("GET", ""))[1]["strategies"] == []  # it was not made by half
        _, made = await ask("POST", "", new | {"phases": ["50%", "100%"], "settings": {"soak": 60}})
        number = made["id"]
        assert (await ask("GET", ""))[1]["strategies"][0]["phases"] == ["50%", "100%"]
        _, found = await ask("GET", f"/{number}/preview")
        assert (found["covered"], found["first"], found["running"]) == (10, 5, 0)
        _, done = await ask("POST", f"/{number}/publish")
        assert (done["status"], done["open"]) == ("PUBLISHED", 1)
        _, shown = await ask("GET", f"/{number}")
        assert (shown["total"]["covered"], shown["total"]["held"]) == (10, 5)
        assert [wait["want"] for wait in shown["waits"]] == ["sample", "hours", "soak"]
        assert (await ask("PUT", f"/{number}/phases", {"settings": {"hours": 1}}))[0] == 200
        assert (await ask("PUT", f"/{number}/phases", {"settings": [1]}))[0] == 400
        assert (await ask("POST", f"/{number}/open"))[1]["open"] == 2
        assert (await ask("POST", f"/{number}/pause"))[1]["status"] == "PAUSED"
        assert (await ask("POST", f"/{number}/open"))[0] == 400
        assert (await ask("POST", f"/{number}/resume"))[1]["status"] == "PUBLISHED"
        assert (await ask("POST", f"/{number}/retry"))[1]["retried"] == 0
        status, wrong = await ask("POST", f"/{number}/withdraw", {"running": "maybe"})
        assert 'running: got "maybe", expected finish or cancel' in wrong["error"]["message"]
        assert (await ask("POST", f"/{number}/withdraw", {"running": "cancel"}))[1][
            "status"
        ] == "WITHDRAWN"
        assert (await ask("GET", "/999"))[0] == 404
    entries = bare.database.call(audit.page, Filter(), 20)
    assert [entry.action for entry in reversed(entries)] == [
        "strategy.add", "strategy.publish", "strategy.phases", "strategy.open", "strategy.pause",
        "strategy.resume", "strategy.retry", "strategy.withdraw",
    ]  # fmt: skip
