"""Packages that failed their trial: the limit, and the record of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from ota.trial.given_up import (
    KEEP,
    TRIAL_BUDGET,
    GivenUp,
    check_budget,
    history_path,
    load_history,
    noted,
    save_history,
)
from tests.ota.updater_rig import UpdaterRig, assert_failed, live
from wire.ota import OtaEvent


def entry(sha256: str, transaction: str) -> GivenUp:
    return GivenUp(sha256, "1.1.0", 1, transaction, "no link")


def test_history(tmp_path: Path) -> None:
    history = noted(noted(noted((), entry("a", "1")), entry("a", "1")), entry("a", "2"))
    assert [(e.sha256, e.times) for e in history] == [("a", 2)]
    check_budget(history, "a")
    history = noted(noted(history, entry("b", "3")), entry("a", "4"))
    with pytest.raises(ContentError, match="given up before"):
        check_budget(history, "a")
    check_budget(history, "b")
    for number in range(KEEP):
        history = noted(history, entry(f"x{number}", "5"))
    assert len(history) == KEEP
    save_history(tmp_path, history)
    assert load_history(tmp_path) == history
    history_path(tmp_path).write_bytes(b"{")
    assert load_history(tmp_path) == ()


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
