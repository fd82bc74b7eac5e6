"""Packages and strategies in the store."""

from __future__ import annotations

import pytest

from staging.errors import NotFoundError, StagingError
from staging.store import Database, releases, rollout_acts
from wire.errors import FieldError


def test_one_package_a_version(database: Database) -> None:
    target = releases.Target("1.tar", 1, "0" * 32, "0" * 64)
    database.call(releases.check_new_version, "1.0", 0)
    database.call(releases.add_package, "1.0", target, "", 0)
    with pytest.raises(StagingError, match="there is a package already"):
        database.call(releases.check_new_version, "1.0", 0)
    with pytest.raises(FieldError, match="version"):
        database.call(releases.check_new_version, "newest", 0)


def test_strategies_name_what_exists(database: Database) -> None:
    kind = releases.StrategyType.PASSIVE
    with pytest.raises(NotFoundError, match=r"version 1\.0"):
        database.call(releases.add_strategy, "1.0", kind, [], [], 0)
    with pytest.raises(NotFoundError, match="strategy 5"):
        database.call(rollout_acts.start, 5, 0)
    with pytest.raises(FieldError, match="from"):
        database.call(releases.add_strategy, "1.0", kind, ["old"], [], 0)
