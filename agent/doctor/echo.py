"""Whether echo cancellation is there, set up as it must be, and used: decided from what pactl prints.

PulseAudio lists the module and its arguments. PipeWire's module is none of PulseAudio's, so there the names of
recipes/story-echo-cancel.conf count.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from wire.records import dataclass

SOURCE, SINK = "story_mic", "story_out"
MODULE = "module-echo-cancel"
METHOD = "aec_method=webrtc"
# Its gain control turns the microphone down by 29 dB (docs/listening.md).
ARGUMENTS = ("analog_gain_control=0", "digital_gain_control=0")
# Its noise suppression makes exact zeros of a quiet room, which look like a muted microphone.
NO_ZEROS = "noise_suppression=0"
LOAD = (
    MODULE, f"source_name={SOURCE}", f"sink_name={SINK}", METHOD,
    f'aec_args="{" ".join((*ARGUMENTS, NO_ZEROS))}"',
)  # fmt: skip
# How PulseAudio's settings say no, in any case of letters (pa_parse_boolean).
_NO = frozenset({"0", "n", "f", "no", "false", "off"})


@dataclass(frozen=True, slots=True)
class Echo:
    """What the sound server has.

    Attributes:
        is_loaded: whether there is a canceller at all.
        missing: arguments that it should have and has not.
        source: the name of the source without the echo.
        sink: the name of the sink whose sound it takes out.
    """

    is_loaded: bool
    missing: Sequence[str] = ()
    source: str = SOURCE
    sink: str = SINK
    makes_zeros: bool = False
    """Whether a quiet room may come out of it as exact zeros."""

    @property
    def turns_down(self) -> bool:
        """Whether its gain control turns the microphone down: the argument against it is missing."""
        return any(word in ARGUMENTS for word in self.missing)

    def unused(self, source: str, sink: str) -> list[str]:
        """Return which of what is used, a source that listens and a sink that plays, go past it."""
        wrong = [] if source == self.source else [f"{source or 'no source'} ≠ {self.source}"]
        return wrong if sink == self.sink else [*wrong, f"{sink or 'no sink'} ≠ {self.sink}"]


def find_echo(modules: str, sources: str) -> Echo:
    """Read the canceller from the outputs of ``pactl list short modules`` and ``pactl list short sources``."""
    for line in modules.splitlines():
        _number, _, rest = line.partition("\t")
        name, _, words = rest.partition("\t")
        if name.strip() == MODULE:
            return _of_module(words)
    named = any(line.split("\t")[1:2] == [SOURCE] for line in sources.splitlines())
    return Echo(named)


def _of_module(words: str) -> Echo:
    outer = _options(words)
    inner = _options(outer.get("aec_args", ""))
    missing = [] if outer.get("aec_method") == METHOD.partition("=")[2] else [METHOD]
    return Echo(
        True,
        (*missing, *(each for each in ARGUMENTS if not _is_off(inner, each))),
        outer.get("source_name", SOURCE),
        outer.get("sink_name", SINK),
        not _is_off(inner, NO_ZEROS),
    )


def _options(words: str) -> dict[str, str]:
    """Return a module's arguments by name; of what is quoted wrongly, what blanks part."""
    try:
        parts = shlex.split(words)
    except ValueError:
        parts = words.replace('"', " ").split()
    return dict(each.split("=", 1) for each in parts if "=" in each)


def _is_off(options: Mapping[str, str], wanted: str) -> bool:
    return options.get(wanted.partition("=")[0], "").lower() in _NO
