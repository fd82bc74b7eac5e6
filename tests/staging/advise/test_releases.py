"""What is offered to which machine: no random bytes to one that would write them over its firmware.

Tests staging.advise.cases.ordering too.
"""

from __future__ import annotations

import pytest

from staging.advise import catalogue
from staging.advise.orders import MD5
from staging.advise.releases import Releases
from staging.advise.runner import Outcome
from tests.staging.advise.rig import GOOD, advise, grades
from tests.staging.advise.twin_points import ROOT_SEED
from tests.staging.advise.twin_update import Update

UPDATE = catalogue.select("update")
WITHOUT_TUF = {
    f"update.{name}" for name in ("forged", "frozen", "rolled-back", "product", "other-bytes")
}
OF_A_PACKAGE = {check.id for check in UPDATE if check.case != "orders"}


def without(outcome: Outcome) -> set[str]:
    """Return the checks that are not applicable; none may have failed."""
    found = grades(outcome)
    assert set(found.values()) <= {"pass", "not applicable"}, found
    return {name for name, grade in found.items() if grade == "not applicable"}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what a twin has written over its firmware."""
    found: list[bytes] = []
    unpack = Update.unpack

    def noted(self: Update, order: object, content: bytes) -> None:
        found.append(content)
        unpack(self, order, content)  # type: ignore[arg-type]

    monkeypatch.setattr(Update, "unpack", noted)
    return found


def test_a_machine_without_tuf_is_offered_the_testers_package_alone(written: list[bytes]) -> None:
    outcome = advise(checks=UPDATE, releases=Releases(None, GOOD), trusts=False)
    assert without(outcome) == WITHOUT_TUF
    assert written == [GOOD.content]


def test_a_machine_that_does_not_read_the_repository_is_offered_nothing(
    written: list[bytes],
) -> None:
    outcome = advise(checks=UPDATE, releases=Releases(ROOT_SEED), trusts=False)
    # One order was taken, by which this was found out.
    assert without(outcome) == OF_A_PACKAGE - {"update.each-ends", "update.stays"}
    assert written == []
    seen = {each.check.id: each.verdict.seen.en for each in outcome.results}
    assert "did not read the bench's repository" in seen["update.frozen"]
    assert "no --package was given" in seen["update.installs"]


def test_without_root_and_package_nothing_is_offered(written: list[bytes]) -> None:
    outcome = advise(checks=UPDATE, releases=Releases(), trusts=False)
    assert without(outcome) == OF_A_PACKAGE
    assert written == []


def test_a_spoiled_package_of_the_testers_has_another_md5() -> None:
    from tests.staging.advise.virtual import VirtualBench

    bench, releases = VirtualBench(), Releases(None, GOOD)
    made = [releases.spoiled(bench, None, "story") for _ in range(2)]  # type: ignore[arg-type]
    assert {each.md5 for each in made} == {MD5}
    assert made[0].path != made[1].path
    assert releases.good(bench, "story").md5 != MD5
