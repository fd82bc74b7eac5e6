"""What one device may send: sound of one utterance, and bytes of a day. No I/O.

Without bounds one device fills the disk of all: 5 MB of reports a second are 439 GB a day. A machine that was
offline for months may deliver what waited on its card at once; what is beyond that comes a day's share at a time.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from staging.store.effects import Effect, RunningVersion, VoiceSeen
from staging.times import Monotonic
from wire.errors import WireError
from wire.voice import FRAME_SECONDS, unpack_frames

# Seconds of sound under one id. The device ends an utterance after 60 s; another one begins after this.
UTTERANCE_SECONDS = 120
UTTERANCE_FRAMES = int(UTTERANCE_SECONDS / FRAME_SECONDS)

DAY_SECONDS = 86_400.0
# Bytes of reports a device may send in a day, and at once: an hour of speech each day is 11 MB, and an agent's
# outbox holds 20 MB at most.
DAY_BYTES = 64 * 1024 * 1024
# What a version that was not told before on this connection counts as: it may make a row that stays.
VERSION_BYTES = 256 * 1024
# Refused reports that a cloud answers in a second beside all else, when every device has one.
TRIES_A_SECOND = 250
# Seconds after which a refused report comes again; a person who has freed space waits for it.
AGAIN_MIN, AGAIN_MAX = 10, 60
# Devices that are remembered; beyond that the one that reported longest ago begins with a whole day's share.
DEVICES_LIMIT = 20_000


def come_again(devices: int) -> int:
    """Return the seconds after which one of so many devices whose reports are refused shall try again.

    Each waits half of it to all of it.
    """
    return min(AGAIN_MAX, max(AGAIN_MIN, math.ceil(devices / TRIES_A_SECOND)))


class UtteranceBound:
    """Counts the frames of one connection's present utterance."""

    def __init__(self) -> None:
        """Start without an utterance."""
        self._id = -1
        self._frames = 0

    def check(self, effects: Iterable[Effect]) -> None:
        """Count the frames of voice segments; raises WireError where an utterance has too many."""
        for effect in effects:
            if isinstance(effect, VoiceSeen):
                self._add(effect.segment.id, len(unpack_frames(effect.segment.voice_data)))
                if effect.segment.eof:
                    self._id = -1

    def _add(self, number: int, frames: int) -> None:
        if number != self._id:
            self._id, self._frames = number, 0
        if self._frames + frames > UTTERANCE_FRAMES:
            raise WireError(
                f"voice: utterance {number} has more than {UTTERANCE_SECONDS} s, "
                f"expected at most {UTTERANCE_FRAMES} frames"
            )
        self._frames += frames


@dataclass(slots=True)
class _Share:
    left: float
    counted: float
    version: str = ""


class Quota:
    """Each device's share of bytes, which grows again by the day's share in a day."""

    def __init__(self, day_bytes: int = DAY_BYTES, monotonic: Monotonic = time.monotonic) -> None:
        """Allow ``day_bytes`` a day; 0: no limit."""
        self._day_bytes = day_bytes
        self._monotonic = monotonic
        self._shares: OrderedDict[str, _Share] = OrderedDict()

    def take(self, uuid: str, size: int, effects: Iterable[Effect]) -> bool:
        """Take a report of ``size`` bytes from a device's share; return whether it was enough."""
        if not self._day_bytes:
            return True
        share = self._share(uuid)
        for effect in effects:
            if isinstance(effect, RunningVersion) and effect.version != share.version:
                size += VERSION_BYTES
                share.version = effect.version
        if size > share.left:
            return False
        share.left -= size
        return True

    def _share(self, uuid: str) -> _Share:
        now = self._monotonic()
        share = self._shares.setdefault(uuid, _Share(self._day_bytes, now))
        self._shares.move_to_end(uuid)
        while len(self._shares) > DEVICES_LIMIT:
            self._shares.popitem(last=False)
        grown = (now - share.counted) * self._day_bytes / DAY_SECONDS
        share.left, share.counted = min(self._day_bytes, share.left + grown), now
        return share
