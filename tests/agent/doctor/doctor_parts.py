"""A machine for the doctor's tests: a state folder, a profile, and what an agent would say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.doctor.findings import Finding, Level
from agent.doctor.patient import Patient
from agent.settings import Settings, parse_settings
from resources.announce.settings import Language


def make_patient(folder: Path, toml: str = "", **changes: Any) -> Patient:
    """Return a machine without a profile and without a running agent; ``changes`` are members."""
    settings = parse_settings(toml) if toml else Settings()
    return replace(Patient(folder, folder / "profile.json", None, settings), **changes)


def told(finding: Finding) -> tuple[Level, str]:
    """Return the level and the English cause."""
    return finding.level, finding.cause.en


def is_complete(finding: Finding) -> bool:
    """Return whether it says in both languages what is wrong and what to do."""
    texts = [finding.cause, *([] if finding.remedy is None else [finding.remedy])]
    needs = finding.level in {Level.BAD, Level.HINT}
    spoken = all(words.of(language) for words in texts for language in Language)
    return spoken and (finding.remedy is not None) == needs
