"""Every check finds the one fault of its own twin, and no check of its suite finds another's.

`make advise-proof` runs every check on every twin. Tests staging.advise.bench, staging.advise.lab, staging.advise.record, staging.advise.peer,
staging.advise.framed, staging.advise.orders, staging.advise.progress; the cases staging.advise.cases.control,
staging.advise.cases.download, staging.advise.cases.framing, staging.advise.cases.link, staging.advise.cases.machine, staging.advise.cases.model,
staging.advise.cases.ordering, staging.advise.cases.reports, staging.advise.cases.tls, staging.advise.cases.trust,
staging.advise.cases.update, staging.advise.cases.voice; and the checks staging.advise.checks.common, staging.advise.checks.control,
staging.advise.checks.download, staging.advise.checks.framing, staging.advise.checks.link, staging.advise.checks.machine, staging.advise.checks.model,
staging.advise.checks.reports, staging.advise.checks.tls, staging.advise.checks.trust, staging.advise.checks.update,
staging.advise.checks.voice.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from staging.advise import catalogue
from staging.advise.cases.control import _is_point
from staging.advise.progress import SAYS_ZH, line_of
from staging.advise.releases import Releases
from staging.errors import StagingError
from tests.staging.advise.rig import GOOD, advise, grades
from tests.staging.advise.twin_points import POINTS
from tests.staging.advise.twins import OLD

BAD = {"fail", "warn"}
EVERY = os.environ.get("ADVISE_PROOF") == "1"


def found(fault: str, suite: str) -> set[str]:
    """Return the checks that find something wrong with a twin that has this fault."""
    checks = catalogue.CHECKS if EVERY else catalogue.select(suite)
    return {name for name, grade in grades(advise(fault, checks)).items() if grade in BAD}


def test_a_twin_without_a_fault_passes_everything() -> None:
    assert set(grades(advise()).values()) == {"pass"}


@pytest.mark.parametrize("suite", catalogue.SUITES)
def test_each_check_fails_on_its_twin_and_on_no_other(suite: str) -> None:
    checks = catalogue.select(suite)
    assert {check.id: found(check.id, suite) for check in checks} == {
        check.id: {check.id} for check in checks
    }


def test_the_same_seed_repeats_the_same_cases() -> None:
    def frames(seed: int) -> list[bytes]:
        run = advise(checks=catalogue.select("frames"), seed=seed).runs["frames"]
        return [frame.data for frame in run.trace.frames if frame.way == ">"]

    assert frames(5) == frames(5)


def test_there_are_checks_enough_and_each_is_told_whole() -> None:
    assert len(catalogue.CHECKS) >= 60
    names = [check.id for check in catalogue.CHECKS]
    assert len(set(names)) == len(names)
    for check in catalogue.CHECKS:
        assert all((check.asks, *check.title, *check.change)), check.id
        assert catalogue.case_named(check.case)


def test_each_case_is_told_in_both_languages_and_each_end_with_what_was_found() -> None:
    assert {case.name for case in catalogue.CASES} == set(SAYS_ZH)
    told: list[dict[str, Any]] = []
    advise(checks=catalogue.select("frames.split"), note=lambda each: told.append(line_of(each)))
    assert [(each["case"], "results" in each) for each in told] == [
        ("describe", False), ("describe", True), ("frames", False), ("frames", True),
    ]  # fmt: skip
    assert told[-1]["says"] == {"zh": "各种切法的帧", "en": "frames in every cut"}
    (found,) = told[-1]["results"]
    assert (found["id"], found["verdict"]) == ("frames.split", "pass")
    assert json.loads(json.dumps(told)) == told


def test_suites_end_in_time_with_a_device_that_does_as_it_should() -> None:
    for suite, limit in catalogue.LIMITS.items():
        assert advise(checks=catalogue.select(suite)).seconds < limit


@pytest.mark.parametrize("name", ["link", "link.jitter", "quick"])
def test_a_suite_is_chosen_by_its_name_or_a_checks(name: str) -> None:
    assert {check.suite for check in catalogue.select(name)} >= {"link"}


def test_an_unknown_suite_is_named_with_those_there_are() -> None:
    with pytest.raises(StagingError, match="got 'slow', expected quick, full, link"):
        catalogue.select("slow")


def test_what_a_device_does_not_come_back_for_is_not_held_against_it() -> None:
    outcome = advise(
        "tls.back", [*catalogue.select("tls.client"), *catalogue.select("link.bows-to-refusal")]
    )
    refused = grades(outcome)["link.bows-to-refusal"]
    assert refused == "not applicable"


def test_a_machine_that_hears_nobody_proves_nothing_while_it_is_muted() -> None:
    found = grades(advise("deaf", catalogue.select("voice")))
    assert {name for name, grade in found.items() if grade != "not applicable"} == {
        "voice.form", "voice.unasked",
    }  # fmt: skip
    assert found["voice.form"] == "fail"


@pytest.mark.parametrize("releases", [Releases(), Releases(None, GOOD)])
def test_a_box_of_2017_is_asked_nothing_that_it_cannot(releases: Releases) -> None:
    """It describes itself not, reads no deadlines, numbers no reports, has no TUF, no helper and nobody who speaks to it."""
    found = grades(advise(OLD, releases=releases, trusts=False))
    assert {name: grade for name, grade in found.items() if grade in BAD} == {"link.jitter": "warn"}
    cannot = {name for name, grade in found.items() if grade == "not applicable"}
    assert {
        "control.described", "control.late", "control.once", "reports.numbers", "reports.same-number", "update.forged",
        "voice.form", "faults.back", "faults.clock",
    } <= cannot  # fmt: skip
    assert not {name for name in cannot if name.startswith(("link", "tls", "frames"))}


def test_an_answer_that_came_separately_need_not_come_again() -> None:
    found = advise("answers separately", catalogue.select("frames.once"))
    assert grades(found) == {"frames.once": "pass"}
    assert found.runs["repeats"].trace.seen["acknowledged"]


def test_the_page_has_each_check() -> None:
    page = (Path(__file__).parents[3] / "docs" / "advisor.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z0-9.-]+)` \| (yes)? ?\|", page, re.MULTILINE)
    quick = {check.id for check in catalogue.select(catalogue.QUICK)}
    assert listed == [(check.id, "yes" if check.id in quick else "") for check in catalogue.CHECKS]


@pytest.mark.parametrize(
    "entry", [7, {}, {"name": "volume", "method": 7}, POINTS[0] | {"pattern": []}, POINTS[0] | {"method": ["POST"]}]
)  # fmt: skip
def test_what_a_strange_description_has_is_not_tried(entry: object) -> None:
    assert not _is_point(entry)
    assert _is_point(POINTS[0])
