"""What the spoken tests need: the titles of their machine, and whether it can speak and hear."""

from __future__ import annotations

from staging.recognition.model import missing_packages
from tools.speech import has_espeak

TITLES = ["小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子"]


def missing() -> list[str]:
    """Return what is missing on this machine for speech: the extra's packages, or espeak-ng."""
    return missing_packages() + ([] if has_espeak() else ["espeak-ng"])
