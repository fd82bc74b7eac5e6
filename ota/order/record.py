"""The stored task of this machine, and the reports that a change of it owes to the cloud.

Each change is on disk before what follows from it is done. A task that ended is reported once: the
final report is retried until the outbox has it, also after a restart.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from ota.errors import OtaError
from ota.fetch.folder import discard
from ota.install.installer import LEFT
from ota.order.reports import Reporter, UpdateReports
from ota.order.states import State, Step
from ota.order.task import Task, read_task, save_task
from wire.errors import show
from wire.ota import OtaEvent, OtaState

_log = logging.getLogger(__name__)


class TaskRecord:
    """The last task, on disk and in memory; one caller at a time may change it."""

    def __init__(
        self, state_dir: Path, download_dir: Path, report: Reporter, on_trial: str | None = None
    ) -> None:
        """Load the last task, if there is one that can be read.

        Args:
            state_dir: the agent's STATE folder.
            download_dir: the folder that packages are downloaded to; emptied when a task fails.
            report: the outbox.
            on_trial: the transaction of the version on trial; its end is reported even if its task
                was damaged.
        """
        self._state_dir = state_dir
        self._download_dir = download_dir
        self._report = report
        self._on_trial = None if on_trial == LEFT else on_trial  # nobody has ordered that one
        self.task = read_task(state_dir)
        self._is_stored = True
        self._fault = ""

    @property
    def unfinished(self) -> Task | None:
        """The task, if it has not ended."""
        return None if self.task is None or self.task.state.is_final else self.task

    @property
    def owes_report(self) -> bool:
        """Whether the task has ended and its final report is not in the outbox."""
        return self.task is not None and self.task.state.is_final and not self.task.reported

    def reports(self, task: Task) -> UpdateReports:
        """Return the reports of a task."""
        return UpdateReports(self._report, task.transaction, task.report_name)

    async def save(self, task: Task) -> None:
        """Store ``task`` as the last one; raises OSError."""
        await asyncio.to_thread(save_task, self._state_dir, task)
        self.task, self._is_stored = task, True

    async def enter_trial(self) -> None:
        """Move the task to INSTALLED and report that to the cloud, before the trial can end.

        Raises:
            OSError: not stored.
        """
        task = self.unfinished
        if task is None:
            return
        if task.state is State.RUNNING:
            await self.save(task.at(Step.TRIAL))
        await self.reports(task).state(OtaState.INSTALLED)

    async def succeed(self) -> None:
        """End the task as a success and report that; raises OSError if its task was damaged."""
        if (task := self.unfinished) is not None:
            await self._finish(task.succeeded())
        elif self._on_trial is not None:  # its task was damaged
            await UpdateReports(self._report, self._on_trial).final(OtaEvent.INSTALLED, None)

    async def fail(self, error: OtaError) -> None:
        """End the task as failed for ``error`` and report that; raises OSError as `succeed`."""
        if (task := self.unfinished) is not None:
            _log.warning("update %s failed: %s", show_transaction(task.transaction), error)
            # Before the record is saved, so that a full disk has room for it.
            await asyncio.to_thread(discard, self._download_dir)
            await self._finish(task.failed(error))
        elif self._on_trial is not None:  # its task was damaged
            await UpdateReports(self._report, self._on_trial).final(error.event, str(error))

    async def tell_again(self) -> None:
        """Make the final report once more, for a cloud that was set up anew and asks; raises OSError."""
        if self.task is not None and self.task.state.is_final:
            await self.save(
                replace(self.task, reported=False, salt=Task.taken(self.task.order).salt)
            )
            await self.settle()

    async def _finish(self, task: Task) -> None:
        try:
            await self.save(task)
        except OSError as error:
            # A restart would repeat the update: what was told to have failed must not happen then.
            name = show_transaction(task.transaction)
            _log.error("update %s: its result cannot be stored: %s", name, error)
            self.task, self._is_stored = task, False
        await self.settle()

    async def settle(self) -> None:
        """Make the final report; if it cannot be stored, leave it for the next retry."""
        try:
            await self.report_final()
        except OSError as error:
            if str(error) != self._fault:  # each retry meets it
                _log.warning("the final report of an update cannot be stored: %s", error)
            self._fault = str(error)

    async def report_final(self) -> None:
        """Make the final report if it is owed; raises OSError if the outbox does not take it."""
        task = self.task
        if task is None or task.event is None or task.reported:
            return
        if not self._is_stored:  # the disk did not take the end, and may do so now
            await self.save(task)
        await self.reports(task).final(task.event, task.failure)
        try:
            await self.save(replace(task, reported=True))
        except OSError as error:  # the report is made; its key prevents a second one
            _log.warning("update %s: %s", show_transaction(task.transaction), error)
            self.task = replace(task, reported=True)


def show_transaction(transaction: str) -> str:
    """Return a transaction for a message: the cloud's text, but printable and of bounded length."""
    return show(transaction).strip('"')
