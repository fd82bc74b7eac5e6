"""Connects the updater (`ota`) with the rest of the agent: the player, the outbox and the machine.

It builds the updater, decides when an update may restart the agent or machine, and restarts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from agent.link.outbox import Outbox, OutboxError
from agent.local.client import SOCKET_NAME
from agent.logs import PLAIN, RedactingFormatter, Redactor
from agent.settings import Settings, SoundCheck
from agent.updates.health import Health, build_health, forget_sound, note_sound
from base.clock import TrustedTime
from machine.board import read_board
from machine.chime import SoundProof
from machine.logind import reboot_machine
from ota.fetch.whole import DownloadSettings
from ota.install.installer import Installer
from ota.install.rauc import RaucInstaller
from ota.install.slots import SlotInstaller
from ota.order.states import State
from ota.restart import QUIET_TIMEOUT, Window, parse_window, why_not_now
from ota.trial.log import TrialLog, read_lines, trial_log_path
from ota.updater import Hooks, Updater, UpdaterSettings
from resources.datapoint import DataPoint
from resources.play import PlayPoint
from wire.ota import InstallerKind
from wire.profile import Profile

# Seconds before a restart for an update in which pending reports may still reach the cloud.
FAREWELL_SECONDS = 3.0
# Seconds for the system to stop the agent after a reboot was ordered, and the wait before the next
# try if the system refuses.
REBOOT_SECONDS = 120.0
# Seconds for the old version's chime; its result decides what the new version must achieve.
LAST_CHIME_SECONDS = 10.0
CONFIRM_RETRY_SECONDS = 1.0
# How often to retry a restart that a story delays, and how long a story may delay the rollback from
# a failed version. A restart into a new version may be delayed for QUIET_TIMEOUT.
STORY_POLL_SECONDS = 1.0
STORY_MAX_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class End(Protocol):
    """Stops the agent; if ``restart`` is true, the process then runs the next version."""

    def __call__(self, *, restart: bool) -> None:
        """Request the stop and return immediately."""


class Updates:
    """One machine's updater, connected to the rest of the agent."""

    def __init__(
        self,
        profile: Profile,
        settings: Settings,
        state: Path,
        version: str,
        *,
        clock: TrustedTime,
        outbox: Outbox,
        play: DataPoint,
        end: End,
    ) -> None:
        """Load the state of an unfinished update.

        Args:
            profile: its ``configures.otaRepository`` applies if the settings name no repository.
            settings: the operator's settings.
            state: the agent's STATE folder.
            version: the running version.
            clock: trusted time.
            outbox: the queue for reports.
            play: the data point ``play``; only a `PlayPoint` can play the chime.
            end: stops the agent.
        """
        self._settings = settings
        self._state = state
        self._clock = clock
        self._outbox = outbox
        self._play = play if isinstance(play, PlayPoint) else None
        self._end = end
        self._window: Window | None = None
        if settings.ota.window:
            self._window = parse_window(settings.ota.window)
        self._health = Health([])
        self._leaving: asyncio.Task[None] | None = None
        self._forced = False
        log, redactor = trial_log_path(state), Redactor(profile.secrets)
        self.updater = Updater(
            self._updater_settings(profile),
            self._build_installer(version),
            self._report,
            self._request_restart,
            version,
            hooks=Hooks(
                clock=clock,
                may_restart=self._may_restart,
                unproven=lambda: self._health.missing,
                log_lines=lambda: read_lines(log, redactor.cut),
            ),
        )

        self._trial_log: TrialLog | None = None
        if self.updater.on_trial:  # a failed trial is reported with these log lines
            formatter = RedactingFormatter(PLAIN, profile.secrets)
            self._trial_log = TrialLog(log, formatter)
            logging.getLogger().addHandler(self._trial_log)

    def _updater_settings(self, profile: Profile) -> UpdaterSettings:
        ota = self._settings.ota
        repository = ota.repository or profile.configures.get("otaRepository", "")
        return UpdaterSettings(
            product=ota.product,
            repository=str(repository),
            root_file=self._state / ota.root_file,
            state_dir=self._state,
            confirm_timeout=ota.confirm_timeout_seconds,
            hardware=ota.hardware or read_board(),
            channel=ota.channel,
            installer=ota.installer,
            delta=ota.delta,
            download=DownloadSettings(max_rate=ota.max_bytes_per_second),
        )

    def _build_installer(self, version: str) -> Installer:
        if self._settings.ota.installer is InstallerKind.RAUC:
            return RaucInstaller(self._state, version)
        return SlotInstaller(self._state)

    def why_not_now(self, *, forced: bool = False) -> str | None:
        """Return why the machine must not restart for an update now, None if it may."""
        playing = self._play is not None and self._play.playing
        # Local time of day from trusted time: a clock in 1970 must not open the window.
        now = datetime.fromtimestamp(self._clock.now()).time()  # noqa: DTZ006  # local time is intended
        return why_not_now(now, self._window, playing=playing, forced=forced)

    def _may_restart(self, forced: bool) -> str | None:  # noqa: FBT001  # as `Hooks` has it
        self._forced = forced
        return self.why_not_now(forced=forced)

    async def prove(self, registered: asyncio.Event) -> None:
        """Confirm a new version once it passes its health check; the updater sets the deadline."""
        if not self.updater.on_trial:
            return
        path = self._state / SOCKET_NAME
        health = self._settings.health
        self._health = build_health(health, self._state, registered, path, self._chime)
        await self._health.proven()
        await self._confirm()
        if self._trial_log is not None:  # later lines do not belong to a trial
            logging.getLogger().removeHandler(self._trial_log)

    async def _confirm(self) -> None:
        """Return once the version is confirmed, or given up at the updater's deadline."""
        while True:
            try:
                return await self.updater.confirm()
            except OSError as error:
                _log.error("the new version cannot be confirmed: %s", error)
                await asyncio.sleep(CONFIRM_RETRY_SECONDS)

    async def _chime(self, volume: int) -> SoundProof:
        if self._play is None:
            return SoundProof(None, "this product plays by a data point of its own")
        return await self._play.prove_sound(volume)

    async def _report(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        try:
            await self._outbox.put(key, value, once=once)
        except OutboxError as error:
            # The updater handles a failing disk according to its current step.
            raise OSError(str(error)) from error

    def _request_restart(self) -> None:
        self._leaving = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        """Stop once all reports are delivered, or after a short wait: they survive the restart."""
        goes_over = self.updater.status()["state"] == State.INSTALLED  # else it is a rollback
        if goes_over:
            await self._note_sound()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._outbox.emptied.wait()
        patience = QUIET_TIMEOUT if goes_over else STORY_MAX_SECONDS
        await self._until_no_story(patience)
        images = self._settings.ota.installer is InstallerKind.RAUC
        if images:
            await _reboot()
            await self._until_no_story(patience)  # the reboot was refused
        self._end(restart=not images)

    async def _until_no_story(self, seconds: float) -> None:
        """Wait up to ``seconds`` for a story that began after the update found a quiet moment."""
        told = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._play is not None and self._play.playing and not self._forced:
                    if not told:
                        _log.info("the restart waits: a story is being played")
                    told = True
                    await asyncio.sleep(STORY_POLL_SECONDS)

    async def _note_sound(self) -> None:
        """Store for the new version whether a device can play a chime, by playing one silently."""
        if self._settings.health.sound is not SoundCheck.AUTO:
            return
        try:
            await asyncio.to_thread(forget_sound, self._state)  # from an earlier update
            async with asyncio.timeout(LAST_CHIME_SECONDS):
                proof = await self._chime(0)
            await asyncio.to_thread(note_sound, self._state, proof)
        except Exception as error:  # noqa: BLE001  # libmpv must not prevent the restart
            _log.warning(
                "what this version can play is not noted: %s", str(error) or "no end of it"
            )


async def _reboot() -> None:
    """Reboot the machine; if that fails, serve on for a while: the agent's next start retries."""
    try:
        await reboot_machine()
    except OSError as error:
        _log.error("the machine cannot be restarted for the update: %s", error)
    await asyncio.sleep(REBOOT_SECONDS)  # if ordered, SIGTERM ends this process sooner
