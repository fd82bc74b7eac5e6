"""The data budget: what a download may cost over all restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, FetchError
from ota.fetch.folder import discard
from ota.fetch.retry import RetryPolicy
from ota.fetch.spent import Spent
from tests.ota.fetch.rig import DATA, cut_at, fetch


class TestBudget:
    def test_bytes_end_it(self, server: Any, url: str, tmp_path: Path) -> None:
        def plain(handler: Any, data: bytes, _start: int) -> None:  # no ETag: starts over each time
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(data[:-1])
            handler.break_off()

        server.script.extend([plain] * 9)
        with pytest.raises(ContentError, match=r"budget: spent \d+ bytes in 3 requests, 5000000 "):
            fetch(url, tmp_path / "d", budget=5_000_000, retry=RetryPolicy(first=0.001))

    def test_a_release_that_says_nothing_may_cost_some_times_its_length(
        self, server: Any, url: str, tmp_path: Path
    ) -> None:
        server.script.extend([cut_at(len(DATA) - 1)] * 1)
        with pytest.raises(ContentError, match="budget"):
            fetch(url, tmp_path / "d", budget_factor=0.5)
        discard(tmp_path / "d")
        assert fetch(url, tmp_path / "d").path.exists()

    def test_restarts_do_not_renew_it(self, server: Any, url: str, tmp_path: Path) -> None:
        settings: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "budget_attempts": 4}
        for _ in range(4):
            server.script.append(cut_at(100_000))
            with pytest.raises(FetchError, match="gave up after 1 attempt"):
                fetch(url, tmp_path / "d", **settings)
        with pytest.raises(ContentError, match=r"budget: .* in 4 requests"):
            fetch(url, tmp_path / "d", **settings)
        assert len(server.requests) == 4

    def test_a_new_order_begins_afresh(self, server: Any, url: str, tmp_path: Path) -> None:
        server.script.append(cut_at(100_000))
        once: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "budget_attempts": 1}
        with pytest.raises(FetchError):
            fetch(url, tmp_path / "d", **once)
        discard(tmp_path / "d")
        assert fetch(url, tmp_path / "d", **once).path.exists()

    def test_bytes_are_on_disk_before_the_end(self, tmp_path: Path) -> None:
        Spent(tmp_path / "s", 2**40, 5).attempt()
        spent = Spent(tmp_path / "s", 2**40, 5)
        spent.take(3 * 2**20)
        spent.take(3 * 2**20)
        with pytest.raises(ContentError, match=f"spent {6 * 2**20} bytes in 1 requests"):
            Spent(tmp_path / "s", 100, 5).attempt()

    def test_a_damaged_count_begins_afresh(self, tmp_path: Path) -> None:
        (tmp_path / "s").write_text('{"attempts": -5}')
        Spent(tmp_path / "s", 10, 1).attempt()
