"""What the spoken tests need: the packages of story-cloud[asr], which `make setup` keeps in a folder of their own, and espeak-ng."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from staging.recognition.model import missing_packages
from tools.speech import has_espeak

FOLDER = Path(__file__).parents[3] / "build" / "asr"
# The recogniser's process, with those packages.
WORKER = ("env", f"PYTHONPATH={FOLDER}", sys.executable, "-m", "staging.recognition.worker")
TITLES = ["小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子"]


def need_packages(patch: pytest.MonkeyPatch) -> None:
    """Let this process find the packages too; skip the test if there are none."""
    patch.syspath_prepend(FOLDER)
    if missing := missing_packages():
        pytest.skip(f"story-cloud[asr] is missing: {', '.join(missing)}; `make setup` fetches it")


def need_voice() -> None:
    """Skip the test if nobody can speak here."""
    if not has_espeak():
        pytest.skip("espeak-ng is missing; `make setup` installs it")
