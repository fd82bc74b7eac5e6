"""The cards of the ready English words, as `benchmarks.wake_ready` made them (docs/wake.md).

Each word was said by forty of espeak-ng's English voices, and played 12.6 h of Mandarin: made-up children's stories, and reviews.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audio.wake_card import Card
from audio.wake_kinds import ReadyWord

_CORPUS: Final = "espeak-ng: made-up stories and reviews"
_MADE: Final = "2026-11-26"

CARDS: Final[Mapping[ReadyWord, Card]] = {
    ReadyWord.OKAY_NABU: Card(
        25, 40, 12.61, 0,
        {
            "hou1 kei1 na4 bu4": (2, 3),
            "ou1 gei1 na4 bu4": (2, 3),
            "ou1 kei1 ma4 bu4": (1, 3),
            "ou1 kei1 na4 pu4": (1, 3),
            "ao1 kei1 na4 bu4": (2, 3),
            "ou1 kei1 nai4 bu4": (1, 3),
            "ou1 kei1 na4 bou4": (1, 3),
            "u1 kei1 na4 bu4": (2, 3),
            "ou1 tei1 na4 bu4": (1, 3),
            "ou1 kei1 na4 du4": (1, 3),
            "ou1 kei1 na4 bo4": (1, 3),
            "okay now boo": (3, 3),
            "okay nancy": (1, 3),
            "okay naboth": (3, 3),
            "hey nabu": (1, 3),
            "okay then": (1, 3),
            "2 others": (0, 6),
        },
        _CORPUS, _MADE,
    ),
    ReadyWord.HEY_JARVIS: Card(
        8, 40, 12.61, 0,
        {
            "17 others": (0, 51),
        },
        _CORPUS, _MADE,
    ),
    ReadyWord.HEY_MYCROFT: Card(
        28, 40, 12.61, 0,
        {
            "hey my craft": (3, 3),
            "my croft": (2, 3),
            "16 others": (0, 48),
        },
        _CORPUS, _MADE,
    ),
    ReadyWord.ALEXA: Card(
        27, 40, 12.61, 8,
        {
            "a lexus": (2, 3),
            "a letter": (1, 3),
            "14 others": (0, 42),
        },
        _CORPUS, _MADE,
    ),
}  # fmt: skip
"""What was measured of each; one whose card has doubts is not used."""
