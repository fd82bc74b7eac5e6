"""What a wake word was measured to do, and whether that is good enough for it to be listened for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# What a card must show: at most one false alarm in ten hours of speech, and one near miss in twenty.
FALSE_PER_HOUR = 0.1
NEAR_SHARE = 0.05
RECALL_SHARE = 0.8


class Doubt(StrEnum):
    """Why a word may not be used; `Card.doubts` says it in English, `agent.voice.wake_texts` to a family."""

    RECALL = "recall"
    FALSE_ALARMS = "false_alarms"
    NEAR = "near"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Card:
    """What a word was measured to do.

    Attributes:
        recalled, spoken: of the family's own takes, how many the others would have heard.
        hours: how much other speech was played to it, faster than real time.
        false_alarms: how often it was heard in that.
        near: sounds that are like it, and how many of how many were taken for it.
        corpus: what the hours were, for people.
        made: the day, ISO 8601.
    """

    recalled: int
    spoken: int
    hours: float
    false_alarms: int
    near: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    corpus: str = ""
    made: str = ""

    @property
    def near_share(self) -> float:
        """The part of the near sounds that was taken for the word; 0 if none was spoken."""
        spoken = sum(total for _hits, total in self.near.values())
        return sum(hits for hits, _total in self.near.values()) / spoken if spoken else 0.0

    @property
    def taken(self) -> str:
        """The sounds that were taken for the word."""
        return ", ".join(name for name, (hits, _total) in self.near.items() if hits)

    @property
    def recalls(self) -> bool:
        """Whether the word is heard often enough where it was said."""
        return self.recalled >= RECALL_SHARE * self.spoken

    def kinds_of_doubt(self) -> list[Doubt]:
        """Return what speaks against the word; nothing if it may be used."""
        found = {
            Doubt.RECALL: not self.recalls,
            Doubt.FALSE_ALARMS: self.false_alarms > FALSE_PER_HOUR * self.hours,
            Doubt.NEAR: self.near_share > NEAR_SHARE,
            Doubt.HOURS: self.hours <= 0,
        }
        return [doubt for doubt, is_so in found.items() if is_so]

    def doubts(self) -> list[str]:
        """Return why the word may not be used, in English; nothing if it may."""
        texts = {
            Doubt.RECALL: f"heard {self.recalled} of {self.spoken} takes",
            Doubt.FALSE_ALARMS: f"{self.false_alarms} false alarms in {self.hours:.2g} h",
            Doubt.NEAR: f"taken for it: {self.taken}",
            Doubt.HOURS: "no other speech was played to it",
        }
        return [texts[doubt] for doubt in self.kinds_of_doubt()]
