"""The agent, as its updater needs it for a restart: the clock, the story, and the last preparations.

It decides nothing: `ota.restart` does, and ends here in a reboot of the machine or in the agent's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import time
from pathlib import Path
from typing import Protocol

from agent.link.outbox import Outbox
from agent.settings import SoundCheck
from agent.updates.health import forget_sound, note_sound
from base.clock import TrustedTime
from base.local_time import zoned
from machine.chime import SoundProof
from machine.logind import reboot_machine
from ota.restart import Restart
from resources.datapoint import DataPoint
from resources.points.play import PlayPoint

# Seconds before a restart for an update in which pending reports may still reach the cloud.
FAREWELL_SECONDS = 3.0
# Seconds for the system to stop the agent after a reboot was ordered, and the wait before the next
# try if the system refuses.
REBOOT_SECONDS = 120.0
# Seconds for the old version's chime; its result decides what the new version must achieve.
LAST_CHIME_SECONDS = 10.0

_log = logging.getLogger(__name__)


class End(Protocol):
    """Stops the agent; if ``restart`` is true, the process then runs the next version."""

    def __call__(self, *, restart: bool) -> None:
        """Request the stop and return immediately."""


class AgentHost:
    """The agent's side of a restart; implements `ota.restart.Host`."""

    def __init__(
        self,
        state: Path,
        sound: SoundCheck,
        *,
        clock: TrustedTime,
        outbox: Outbox,
        play: DataPoint,
        end: End,
    ) -> None:
        """Connect the parts.

        Args:
            state: the agent's STATE folder.
            sound: which output must play a new version's chime.
            clock: trusted time.
            outbox: the queue for reports.
            play: the data point ``play``; only a `PlayPoint` is known to play, and plays the chime.
            end: stops the agent.
        """
        self._state = state
        self._sound = sound
        self._clock = clock
        self._outbox = outbox
        self._play = play if isinstance(play, PlayPoint) else None
        self.end = end

    def local_time(self) -> time:
        """Return the local time of day from trusted time: a clock in 1970 opens no window."""
        return zoned(self._clock.now()).time()

    def is_playing(self) -> bool:
        """Return whether a story is being played, or is paused."""
        return self._play is not None and self._play.teller.playing

    async def chime(self, volume: int) -> SoundProof:
        """Play the chime at ``volume`` percent, and return what was heard of it."""
        if self._play is None:
            return SoundProof(None, "this product plays by a data point of its own")
        return await self._play.teller.prove_sound(volume)

    async def prepare(self, restart: Restart) -> None:
        """Note the sound for a new version; let pending reports go out: they survive the restart."""
        if restart.to_new:
            await self._note_sound()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._outbox.emptied.wait()

    async def _note_sound(self) -> None:
        """Store for the new version whether a device can play a chime, by playing one silently."""
        if self._sound is not SoundCheck.AUTO:
            return
        try:
            await asyncio.to_thread(forget_sound, self._state)  # from an earlier update
            async with asyncio.timeout(LAST_CHIME_SECONDS):
                proof = await self.chime(0)
            await asyncio.to_thread(note_sound, self._state, proof)
        except Exception as error:  # noqa: BLE001  # the player must not prevent the restart
            _log.warning(
                "what this version can play is not noted: %s", str(error) or "no end of it"
            )

    async def reboot(self) -> None:
        """Reboot the machine; if that fails, serve on for a while: the agent's next start retries."""
        try:
            await reboot_machine()
        except OSError as error:
            _log.error("the machine cannot be restarted for the update: %s", error)
        await asyncio.sleep(REBOOT_SECONDS)  # if ordered, SIGTERM ends this process sooner
