"""Packages that failed their trial: the limit, and the record of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from ota.trial.given_up import (
    FailedTrials,
    GivenUp,
    add_failure,
    check_budget,
    given_up_path,
    load_given_up,
    save_given_up,
    settle_doubt,
)
from tests.ota.updater_rig import UpdaterRig, assert_failed, live
from wire.ota import OtaEvent

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEEP = 16
TRIAL_BUDGET = 3


def entry(sha256: str, transaction: str) -> GivenUp:
    return GivenUp(sha256, "1.1.0", 1, transaction, "no link")


def test_failures_are_counted_by_package_and_kept(tmp_path: Path) -> None:
    packages = add_failure(
        add_failure(add_failure((), entry("a", "1")), entry("a", "1")), entry("a", "2")
    )
    assert [(e.sha256, e.times) for e in packages] == [("a", 2)]
    check_budget(FailedTrials(packages), "a")
    packages = add_failure(add_failure(packages, entry("b", "3")), entry("a", "4"))
    with pytest.raises(ContentError, match="given up before"):
        check_budget(FailedTrials(packages), "a")
    check_budget(FailedTrials(packages), "b")
    for number in range(KEEP):
        packages = add_failure(packages, entry(f"x{number}", "5"))
    assert [e.sha256 for e in packages] == [f"x{number}" for number in range(KEEP)]
    trials = FailedTrials(packages, packages[:2], entry("c", "6"))
    save_given_up(tmp_path, trials)
    assert load_given_up(tmp_path) == trials
    written = json.loads(given_up_path(tmp_path).read_bytes())
    given_up_path(tmp_path).write_text(json.dumps({"format": 1, "packages": written["packages"]}))
    assert load_given_up(tmp_path) == FailedTrials(packages)  # as an older version writes it
    given_up_path(tmp_path).write_bytes(b"{")
    assert load_given_up(tmp_path) == FailedTrials()


@pytest.mark.parametrize("outage", [True, False])
def test_without_a_doubt_there_is_nothing_to_settle(tmp_path: Path, *, outage: bool) -> None:
    trials = FailedTrials((entry("a", "1"),))
    assert trials.settled(outage=outage) == trials
    assert settle_doubt(tmp_path, outage=outage) is None
    assert not given_up_path(tmp_path).exists()


async def test_a_version_that_fails_its_trial_again_and_again_is_refused(
    rig: UpdaterRig, order: Callable[..., bytes], server: Any
) -> None:
    for number in range(TRIAL_BUDGET):
        transaction = f"t{number}"
        await live(rig, order(transaction=transaction))
        await live(rig, None, prove="no link")
        await live(rig, None)
        assert rig.task.transaction == transaction
        assert "version 1.1.0 was rolled back: no link" in str(rig.task.failure)
    server.requests.clear()
    rig.outbox.taken.clear()
    await live(rig, order())
    await assert_failed(rig, OtaEvent.REJECT, "given up before: version 1.1.0 failed its trial 3 ")
    assert not [path for path, _range in server.requests if path.endswith(".tar.gz")]
