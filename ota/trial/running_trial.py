"""The trial of the version that this process runs: it is confirmed, or rolled back with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from ota.errors import ContentError
from ota.install.installer import Installer
from ota.order.record import TaskRecord, show_transaction
from ota.trial.given_up import GivenUp, count_trial, doubt_trial, drop_doubt
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
        with contextlib.suppress(
            OSError
        ):  # a doubt that stays counts against nothing that is confirmed
            await asyncio.to_thread(drop_doubt, self._state_dir)
        await asyncio.to_thread(self._installer.confirm)
        await self._record.succeed()
        self._over.set()

    async def roll_back(self, reason: str, running: str, *, in_doubt: bool = False) -> None:
        """Give the version ``running`` up for ``reason``; raises OSError if that is not stored.

        ``in_doubt``: it lacked nothing but the cloud.
        """
        await self.begin()
        if in_doubt:  # before the roll-back: the version that runs next must know it
            await self._count(reason, doubt_trial)
        await asyncio.to_thread(self._installer.roll_back, reason)
        await self.report_failure(f"version {running} was rolled back: {reason}")
        self._over.set()

    async def report_failure(self, reason: str, *, counts: bool = True) -> None:
        """Count the failed trial of its package, report its log, and report the failure.

        ``counts``: False if the version was never started, since the machine did not restart.
        """
        if counts:
            await self._count(reason, count_trial)
            await self._report_log("log")
        await self._record.fail(
            ContentError("new version given up", reason, OtaEvent.IMAGE_INVALID)
        )

    async def report_left(self, reason: str, *, counts: bool) -> None:
        """Report that the confirmed version was left for ``reason``, and what it says of that.

        ``counts``: whether that is one of the failed trials that its package may have.
        """
        if counts:
            await self._count(reason, count_trial)
        await self._report_log("left", reason)

    async def _count(self, reason: str, count: Callable[[Path, GivenUp], None]) -> None:
        """Count a trial of the task's package by ``count``; an error is only logged, as in `begin`."""
        task = self._record.task
        if task is None or task.target is None:
            return
        entry = GivenUp(task.target.sha256, task.target.version, 1, task.transaction, reason)
        try:
            await asyncio.to_thread(count, self._state_dir, entry)
        except OSError as error:
            _log.warning("update %s: %s", show_transaction(task.transaction), error)

    async def _report_log(self, name: str, *before: str) -> None:
        """Report the last lines of the task's version, after the lines ``before``."""
        task = self._record.task
        if task is None or task.target is None:
            return
        try:
            lines = [*before, *self._log_lines()]
            await self._record.reports(task).log(task.target.version, lines, name)
        except OSError as error:  # it must not prevent the report of the failure
            _log.warning("update %s: %s", show_transaction(task.transaction), error)
