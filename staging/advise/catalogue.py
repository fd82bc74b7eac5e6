"""Which cases and checks there are, in the order in which they run, and which belong to a suite."""

from __future__ import annotations

from collections.abc import Sequence

from staging.advise.cases import (
    control,
    download,
    framing,
    link,
    machine,
    reports,
    tls,
    trust,
    update,
    voice,
)
from staging.advise.cases.model import Case
from staging.advise.checks import control as control_checks
from staging.advise.checks import download as download_checks
from staging.advise.checks import framing as framing_checks
from staging.advise.checks import link as link_checks
from staging.advise.checks import machine as machine_checks
from staging.advise.checks import reports as reports_checks
from staging.advise.checks import tls as tls_checks
from staging.advise.checks import trust as trust_checks
from staging.advise.checks import update as update_checks
from staging.advise.checks import voice as voice_checks
from staging.advise.checks.model import Check
from staging.errors import StagingError

QUICK, FULL = "quick", "full"
# Seconds for all cases of a suite: what a tester waits.
LIMITS = {QUICK: 60.0, FULL: 600.0}

# What comes first is what others need; what cuts a device off, after which it waits longer each time, comes later, and what
# makes it wait for minutes last. Updates, which cut nothing, are run while a device would only be left alone to forget its waits.
CASES: tuple[Case, ...] = (
    *control.CASES[:-1], *reports.FIRST, *update.CASES, *framing.FIRST, control.CASES[-1], *link.CASES[:1], *reports.CASES,
    *framing.CASES, *link.CASES[1:2], *voice.LAST, *link.CASES[2:], *tls.CASES, *trust.FIRST, *download.CASES, trust.LAST[0], *voice.CASES, *machine.CASES, *link.LAST, trust.LAST[1],
)  # fmt: skip
CHECKS: tuple[Check, ...] = (
    *link_checks.CHECKS, *framing_checks.CHECKS, *control_checks.CHECKS, *reports_checks.CHECKS, *update_checks.CHECKS, *trust_checks.CHECKS[:5],
    *download_checks.CHECKS, *trust_checks.CHECKS[5:], *voice_checks.CHECKS, *tls_checks.CHECKS, *machine_checks.CHECKS,
)  # fmt: skip
SUITES: tuple[str, ...] = tuple(dict.fromkeys(check.suite for check in CHECKS))
# Every suite begins with it: the others ask for data points.
FIRST = "describe"


def case_named(name: str) -> Case:
    """Return a case."""
    return next(case for case in CASES if case.name == name)


def select(suite: str) -> Sequence[Check]:
    """Return the checks of ``quick``, ``full``, a suite or one check's id; raises StagingError."""
    if suite == FULL:
        return CHECKS
    if suite == QUICK:
        return [check for check in CHECKS if case_named(check.case).quick]
    found = [check for check in CHECKS if suite in {check.suite, check.id}]
    if not found:
        expected = ", ".join((QUICK, FULL, *SUITES))
        raise StagingError(f"--suite: got {suite!r}, expected {expected} or the id of a check")
    return found


def cases_of(checks: Sequence[Check]) -> list[Case]:
    """Return the cases that checks need, in their order."""
    wanted = {FIRST, *(check.case for check in checks)}
    return [case for case in CASES if case.name in wanted]
