"""Makes what listens for the wake word, when the settings turn it on; nothing of it is imported before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from agent.settings import VoiceSettings, WakeSettings
from agent.voice.ears import Ears
from agent.voice.wake import Wake
from machine.capture_back_ends import find_back_end
from machine.shared_microphone import SharedMicrophone
from machine.wake_process import WakeProcess, wake_command
from resources.datapoint import DataPoint
from resources.points.play import PlayPoint
from wire.family import Why


def build_wake(
    ears: Ears,
    settings: WakeSettings,
    voice: VoiceSettings,
    state: Path,
    points: Mapping[str, DataPoint],
) -> Wake:
    """Return what listens for the words of the state folder, and give ``ears`` its microphone."""
    back_end = find_back_end(voice.microphone, voice.capture)
    microphone = SharedMicrophone(back_end, light=ears.light)
    play = points.get("play")
    own = play if isinstance(play, PlayPoint) else None
    command = wake_command(state, settings.ready)

    def story_sounds() -> bool:
        return own is not None and not settings.while_playing and own.teller.sounds

    def cue_sounds() -> bool:
        return own is not None and own.voice is not None and own.voice.sounds

    ears.microphone = microphone
    ears.wake = Wake(
        microphone,
        lambda on_hit: WakeProcess(command, on_hit, clock=time.monotonic),
        lambda recall: ears.listen(recall=recall, why=Why.WORD),
        wanted=lambda: ears.may_open and not story_sounds(),
        deaf=lambda: ears.listens or cue_sounds() or story_sounds(),
    )
    return ears.wake
