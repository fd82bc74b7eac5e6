"""The report ``utterance_times``: how one utterance went on the device, for the console's stages (docs/adr/0031).

``{"id": utterance, "end": "sent" | "lost" | …, "why": "button" | …, "seconds": {stage: seconds}}``; the seconds count
from the wish to listen, and ``why`` (`wire.family.Why`) is what opened the microphone; earlier agents do not say it. A microphone that failed before anybody spoke is told with the
id `NO_UTTERANCE`, which earlier agents do not tell. It is sent only to clouds that say that they read it (`wire.abilities.UTTERANCE_TIMES`).
"""

from __future__ import annotations

from collections.abc import Mapping

from wire.errors import FieldError
from wire.fields import get_int, get_object, get_string
from wire.records import dataclass

KEY_UTTERANCE_TIMES = "utterance_times"
# What a report has besides is left out by its sender and passed over by its reader.
STAGES = ("opened", "began", "first_segment", "ended", "sent", "answered")
# Listening has deadlines of 70 s together; a longer time is a broken clock.
SECONDS_MAX = 600.0
END_LIMIT = 32
# The id of a time of listening that came to no utterance, since the microphone failed before: no utterance has it.
NO_UTTERANCE = 0
# Words of ``end`` that the cloud counts; `agent.voice.session.End` has all of ours.
FAULT, LOST = "fault", "lost"


@dataclass(frozen=True, slots=True)
class UtteranceTimes:
    """How one utterance went.

    Attributes:
        id: the number in its voice segments.
        end: how it ended, a word.
        seconds: when what happened, since the wish to listen; keys of `STAGES`.
        why: what opened the microphone, a word; "" if the device does not say it.
    """

    id: int
    end: str
    seconds: Mapping[str, float]
    why: str = ""

    def to_json(self) -> dict[str, object]:
        """Build the report's value."""
        told = {name: round(self.seconds[name], 3) for name in STAGES if name in self.seconds}
        why = {"why": self.why} if self.why else {}
        return {"id": self.id, "end": self.end, **why, "seconds": told}


def parse_times(value: object) -> UtteranceTimes:
    """Parse the report's value; raises FieldError that names the member."""
    path = f"{KEY_UTTERANCE_TIMES}."
    source = get_object({KEY_UTTERANCE_TIMES: value}, KEY_UTTERANCE_TIMES)
    end = _word(source, "end", path)
    why = _word(source, "why", path) if "why" in source else ""
    told = get_object(source, "seconds", path=path)
    seconds = {
        name: _seconds(told[name], f"{path}seconds.{name}") for name in STAGES if name in told
    }
    return UtteranceTimes(get_int(source, "id", path=path), end, seconds, why)


def _word(source: Mapping[str, object], name: str, path: str) -> str:
    word = get_string(source, name, path=path)
    if len(word) > END_LIMIT or not word.replace("_", "").isalpha():
        raise FieldError(path + name, word, f"a word of at most {END_LIMIT} letters")
    return word


def _seconds(value: object, field: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= SECONDS_MAX
    ):
        raise FieldError(field, value, f"seconds from 0 to {SECONDS_MAX:g}")
    return float(value)
