"""The second fifty of the suite's short seeds: a file of their own, so that another process may run them beside the first."""

from __future__ import annotations

import pytest

from tests.tools.sim.running import RUN_SECONDS, run


@pytest.mark.timeout(RUN_SECONDS)
def test_no_invariant_is_broken_in_fifty_more_short_days() -> None:
    told = run(
        "tools.sim", "--first", "51", "--seeds", "50", "--hours", "0.002", "--density", "300",
        "--settle", "300",
    )  # fmt: skip
    assert "50 seeds" in told
    assert " 0 failed" in told
