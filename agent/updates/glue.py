"""Connects the updater (`ota`) with the rest of the agent: the player, the outbox and the machine.

It builds the updater and its installer, and lets a version on trial prove itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from agent.link import Link
from agent.link.outbox import Outbox, OutboxError
from agent.logs import PLAIN, RedactingFormatter, Redactor
from agent.settings import Settings
from agent.state import socket_to_ask
from agent.updates.health import REGISTRATION, Health, build_health
from agent.updates.host import AgentHost, End
from base.clock import TrustedTime
from machine.board import read_board
from ota.fetch.source import DownloadSettings
from ota.install.installer import Installer
from ota.restart import Restarter, parse_window
from ota.trial.log import TrialLog, discard_trial_log, read_lines, trial_log_path
from ota.updater import Hooks, Updater, UpdaterSettings
from resources.datapoint import DataPoint
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import InstallerKind
from wire.profile import Profile

# Phases of the link in which a machine whose own network has not come up yet does not fail.
AT_THE_CLOUD = frozenset({"connect", "tls", "register", "serve"})
# Seconds until a confirmation that the disk refused is tried again.
CONFIRM_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


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
        self.lost: str | None = None
        """Why ``state`` is in memory and not on the card, if it is: what the card has of an update is not known then."""
        self._settings = settings
        self._state = state
        self._outbox = outbox
        self._health = Health([])
        self._reached_cloud = asyncio.Event()
        self._link: Link | None = None
        self._host = AgentHost(
            state, settings.health.sound, clock=clock, outbox=outbox, play=play, end=end
        )
        window = parse_window(settings.ota.window) if settings.ota.window else None
        self.restarter = Restarter(self._host, window)
        log, redactor = trial_log_path(state), Redactor(profile.secrets)
        self.updater = Updater(
            self._updater_settings(profile),
            self._build_installer(version),
            self._report,
            self.restarter,
            version,
            hooks=Hooks(
                clock=clock,
                missing_checks=self._missing_checks,
                lacks_cloud_only=lambda: self._health.lacks_cloud,
                log_lines=lambda: read_lines(log, redactor.redact),
                reached_cloud=self._wait_for_cloud,
                all_told=outbox.emptied.is_set,
            ),
        )

        self._trial_log: TrialLog | None = None
        if self.updater.on_trial:  # a failed trial is reported with these log lines
            formatter = RedactingFormatter(PLAIN, profile.secrets)
            self._trial_log = TrialLog(log, formatter)
            logging.getLogger().addHandler(self._trial_log)

    async def take_order(self, payload: bytes) -> Answer:
        """Answer an order, as `Updater.take_order`; 5.03 while `lost`."""
        return await self.updater.take_order(payload) if self.lost is None else self._refusal()

    async def cancel(self, transaction: str) -> Answer:
        """Cancel an update, as `Updater.cancel`; 5.03 while `lost`."""
        return await self.updater.cancel(transaction) if self.lost is None else self._refusal()

    def _refusal(self) -> Answer:
        text = f"what is known of updates is not there: {self.lost}"
        return Answer.from_text(Code.SERVICE_UNAVAILABLE, text)

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
        """Create the machine's installer; the other kind is not imported: each start would pay for it."""
        if self._settings.ota.installer is InstallerKind.RAUC:
            from ota.install.rauc import RaucInstaller  # noqa: PLC0415  # see above

            return RaucInstaller(self._state, version)
        from ota.install.slots import SlotInstaller  # noqa: PLC0415  # see above

        return SlotInstaller(self._state)

    def _missing_checks(self) -> str:
        """Return which check has not passed yet; of the cloud's, what the link says."""
        error = self._link.status.last_error if self._link is not None else ""
        is_link = self._health.lacks_cloud and error
        return f"{REGISTRATION}: {error}" if is_link else self._health.missing

    async def _wait_for_cloud(self) -> bool:
        """Return once this version is registered: whether no try failed before, beyond the machine's own network."""
        await self._reached_cloud.wait()
        return self._link is None or not self._link.status.failed & AT_THE_CLOUD

    async def confirm_when_healthy(self, link: Link) -> None:
        """Confirm a new version once it passes its health check; the updater sets the deadline."""
        self._link, registered = link, link.registered
        if not self.updater.on_trial:
            await registered.wait()
            self._reached_cloud.set()
            return
        path = socket_to_ask(self._state)
        health = self._settings.health
        self._health = build_health(health, self._state, registered, path, self._host.chime)
        await self._health.wait_until_passed()
        await self._confirm()
        if self._trial_log is not None:  # later lines do not belong to a trial
            logging.getLogger().removeHandler(self._trial_log)
            with contextlib.suppress(OSError):  # it is told of a failed trial alone
                await asyncio.to_thread(discard_trial_log, self._state)

    async def _confirm(self) -> None:
        """Return once the version is confirmed, or given up at the updater's deadline."""
        while True:
            try:
                return await self.updater.confirm()
            except OSError as error:
                _log.error("the new version cannot be confirmed: %s", error)
                await asyncio.sleep(CONFIRM_RETRY_SECONDS)

    async def _report(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        try:
            await self._outbox.put(key, value, once=once)
        except OutboxError as error:
            # The updater handles a failing disk according to its current step.
            raise OSError(str(error)) from error
