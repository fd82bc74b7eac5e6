"""What a check is, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from staging.advise.record import Known, Trace


class Text(NamedTuple):
    """A sentence in both languages."""

    zh: str
    en: str


class Grade(StrEnum):
    """What became of a check."""

    PASS = "pass"  # noqa: S105  # no password
    WARN = "warn"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grade, and what was seen that gives it."""

    grade: Grade
    seen: Text


Judge = Callable[[Trace, Known], Verdict]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        id: ``suite.what``, which stays the same over versions, so that reports can be compared.
        title: what it is called.
        asks: what the document or the RFC asks, and the section.
        change: what the device's maker changes where it fails.
        case: the case that makes its record.
        judge: gives the verdict on that record.
    """

    id: str
    title: Text
    asks: str
    change: Text
    case: str
    judge: Judge

    @property
    def suite(self) -> str:
        """The suite that it belongs to."""
        return self.id.partition(".")[0]


def passed(zh: str, en: str) -> Verdict:
    """Return that all is as it should be."""
    return Verdict(Grade.PASS, Text(zh, en))


def warned(zh: str, en: str) -> Verdict:
    """Return that it works, and should be better."""
    return Verdict(Grade.WARN, Text(zh, en))


def failed(zh: str, en: str) -> Verdict:
    """Return that it does not do what is asked."""
    return Verdict(Grade.FAIL, Text(zh, en))


def inapplicable(zh: str, en: str) -> Verdict:
    """Return that the device cannot be asked for this."""
    return Verdict(Grade.NOT_APPLICABLE, Text(zh, en))
