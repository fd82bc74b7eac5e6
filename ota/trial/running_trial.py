"""The trial of the version that this process runs: it is confirmed, or rolled back with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from ota.errors import ContentError
from ota.install.installer import Installer
from ota.order.record import TaskRecord, show_transaction
from ota.trial.given_up import GivenUp, count_trial
from wire.ota import OtaEvent

_log = logging.getLogger(__name__)


class RunningTrial:
    """The trial of the running version, or none; one caller at a time may end it."""

    def __init__(
        self,
        record: TaskRecord,
        installer: Installer,
        state_dir: Path,
        log_lines: Callable[[], Sequence[str]],
        *,
        is_on: bool,
    ) -> None:
        """Connect the parts.

        Args:
            record: the task of the update that installed this version.
            installer: confirms the version, or rolls it back.
            state_dir: the agent's STATE folder, where failed trials are counted.
            log_lines: returns the last lines that a version on trial logged, without secrets.
            is_on: whether the running version is on trial.
        """
        self._record = record
        self._installer = installer
        self._state_dir = state_dir
        self._log_lines = log_lines
        self._over = asyncio.Event()
        if not is_on:
            self._over.set()

    @property
    def is_on(self) -> bool:
        """Whether this process is a new version that has not been confirmed yet."""
        return not self._over.is_set()

    async def begin(self) -> None:
        """Store and report that the trial has begun.

        An error is only logged: it must not stop the timeout or a roll-back.
        """
        try:
            await self._record.enter_trial()
        except OSError as error:
            _log.error("the start of the trial cannot be stored: %s", error)

    async def wait_until_over(self, seconds: float) -> bool:
        """Wait for the end of the trial; return False if it is not over within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def confirm(self) -> None:
        """Keep the running version and report the success; raises OSError if that is not stored."""
        await self._record.enter_trial()
        await asyncio.to_thread(self._installer.confirm)
        await self._record.succeed()
        self._over.set()

    async def roll_back(self, reason: str, running: str) -> None:
        """Give the version ``running`` up for ``reason``; raises OSError if that is not stored."""
        await self.begin()
        await asyncio.to_thread(self._installer.roll_back, reason)
        await self.report_failure(f"version {running} was rolled back: {reason}")
        self._over.set()

    async def report_failure(self, reason: str, *, counts: bool = True) -> None:
        """Count the failed trial of its package, report its log, and report the failure.

        ``counts``: False if the version was never started, since the machine did not restart.
        """
        task = self._record.task
        if counts and task is not None and task.target is not None:
            target = task.target
            entry = GivenUp(target.sha256, target.version, 1, task.transaction, reason)
            try:
                await asyncio.to_thread(count_trial, self._state_dir, entry)
                reports = self._record.reports(task.transaction)
                await reports.log(target.version, self._log_lines())
            except OSError as error:  # neither must prevent the report of the failure
                _log.warning("update %s: %s", show_transaction(task.transaction), error)
        await self._record.fail(
            ContentError("new version given up", reason, OtaEvent.IMAGE_INVALID)
        )
