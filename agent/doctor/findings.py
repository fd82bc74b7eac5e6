"""What a check found, in Chinese and English: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from agent.words import Words
from wire.records import dataclass


class Level(StrEnum):
    """How it is."""

    GOOD = "good"
    HINT = "hint"
    """It works, and could be better."""
    BAD = "bad"
    """It does not work."""
    SKIPPED = "skipped"
    """It was not looked at."""


MARKS = {Level.GOOD: "✓", Level.HINT: "!", Level.BAD: "✗", Level.SKIPPED: "-"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One result.

    Attributes:
        check: the check's name.
        level: how it is.
        cause: what was found.
        remedy: what to do about it; None where there is nothing to do.
    """

    check: str
    level: Level
    cause: Words
    remedy: Words | None = None

    def to_json(self, language: str) -> dict[str, str | None]:
        """Render for ``--json``."""
        return {
            "check": self.check, "level": str(self.level), "cause": self.cause.of(language),
            "remedy": None if self.remedy is None else self.remedy.of(language),
        }  # fmt: skip

    def lines(self, language: str) -> list[str]:
        """Render for people."""
        lines = [f"{MARKS[self.level]} {self.check}: {self.cause.of(language)}"]
        if self.remedy is not None:
            lines.append(f"    → {self.remedy.of(language)}")
        return lines


def good(check: str, zh: str, en: str) -> Finding:
    """Return that it works."""
    return Finding(check, Level.GOOD, Words(zh, en))


def hint(check: str, cause: Words, remedy: Words) -> Finding:
    """Return that it works, and could be better."""
    return Finding(check, Level.HINT, cause, remedy)


def bad(check: str, cause: Words, remedy: Words) -> Finding:
    """Return that it does not work."""
    return Finding(check, Level.BAD, cause, remedy)


def skipped(check: str, zh: str, en: str) -> Finding:
    """Return why it was not looked at."""
    return Finding(check, Level.SKIPPED, Words(zh, en))


def summary(findings: Sequence[Finding]) -> Words:
    """Return one line about all of them."""
    counts = {level: sum(f.level is level for f in findings) for level in Level}
    wrong, hints = counts[Level.BAD], counts[Level.HINT]
    if not wrong and not hints:
        return Words(
            f"{counts[Level.GOOD]} 项检查，一切正常", f"{counts[Level.GOOD]} checks, all well"
        )
    return Words(
        f"{len(findings)} 项检查：{wrong} 项有问题，{hints} 条建议",
        f"{len(findings)} checks: {wrong} wrong, {hints} could be better",
    )
