"""The updater: carries out an order up to its single final report, across any number of crashes.

Each step is stored on disk before it is taken, so that a start after a crash repeats it; every step
is repeatable. Other modules decide (`states`, `recovery`, `trust`, `launch`); this one connects
them with the disk, the installer, the outbox and time.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from dataclasses import replace

from base.clock import TrustedTime
from ota.errors import (
    CancelledOrderError,
    ContentError,
    FetchError,
    MachineError,
    OtaError,
)
from ota.fetch.folder import discard
from ota.fetch.packages import Package, fetch_package, install_package
from ota.fetch.retry import Attempts
from ota.install.installer import Installer, Progress
from ota.order.percent import Percent
from ota.order.recovery import Action, Verdict, recover
from ota.order.reports import Reporter, UpdateReports
from ota.order.states import State, Step
from ota.order.task import Task, read_task, save_task
from ota.order.worker import Interruptible
from ota.restart import Restart, Restarter
from ota.settings import Hooks, UpdaterSettings
from ota.trial.given_up import GivenUp, check_budget, count_trial, load_history
from ota.trial.log import discard_trial_log
from ota.trust.client import check_newer, find_target
from ota.trust.target import Target
from wire.codes import Code
from wire.errors import WireError, show
from wire.exchange import Answer
from wire.ota import OtaEvent, OtaOrder, OtaState, parse_order, version_key

# Seconds until a write to the disk, or a RAUC call, that failed at an update's end is retried.
RETRY_SECONDS = 60.0
# Seconds that `cancel` waits for the update to end: less than the 10 s that a cloud waits for it.
CANCEL_PATIENCE = 6.0

_log = logging.getLogger(__name__)

__all__ = ["Hooks", "Updater", "UpdaterSettings"]


class Updater:
    """Carries out this machine's updates, one at a time."""

    def __init__(
        self,
        settings: UpdaterSettings,
        installer: Installer,
        report: Reporter,
        restarter: Restarter,
        running_version: str,
        *,
        rng: random.Random | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        """Load the unfinished update, if any; `run` continues it.

        Args:
            settings: the settings.
            installer: installs, activates and rolls back versions.
            report: the outbox.
            restarter: decides when the machine may restart, and restarts it.
            running_version: the version that this process runs.
            rng: the jitter of waits.
            hooks: callbacks and objects that the agent provides.
        """
        self._hooks = hooks or Hooks()
        self._clock = self._hooks.clock or TrustedTime(settings.time_file)
        self._settings = settings.with_clock(self._clock)
        self._installer = installer
        self._report = report
        self._restarter = restarter
        self._running = running_version
        self._rng = rng
        self._task = read_task(settings.state_dir)
        standing = installer.standing()
        self._trial = standing.trial
        self._verdict = recover(self._task, standing, running_version)
        self._on_trial = self._verdict.action is Action.TRIAL
        # Serializes changes of the task by orders, confirmations and final reports.
        self._gate = asyncio.Lock()
        self._wake = asyncio.Event()
        self._trial_over = asyncio.Event()
        self._package: Package | None = None
        self._percent = Percent(settings.percent_interval)
        self._effort = Interruptible()
        self._switching = False
        self._given_up = False

    @property
    def on_trial(self) -> bool:
        """Whether this process is a new version that has not been confirmed yet."""
        return self._on_trial

    def status(self) -> dict[str, object]:
        """Describe the last update: transaction, version, state, step, percent (0..1), failure."""
        task = self._task
        return {
            "running": self._running,
            "onTrial": self._on_trial,
            "transaction": task.transaction if task else None,
            "version": task.order.version if task else None,
            "state": str(task.state) if task else None,
            "step": str(task.step) if task else None,
            "percent": self._percent.part if task and task.state is State.RUNNING else None,
            "failure": task.failure if task else None,
        }

    async def take_order(self, payload: bytes) -> Answer:
        """Answer ``PUT /newfirmware``; the answer's text is for people.

        2.04: the order is stored and will be carried out, or is the current one already. 4.00: not
        an order, or not newer than the running version. 4.09: another update is running. 5.03: the
        order cannot be stored.
        """
        try:
            order = parse_order(payload)
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        async with self._gate:
            return await self._take(order)

    async def _take(self, order: OtaOrder) -> Answer:
        task, name = self._task, _name(order.transaction)
        if task is not None and task.transaction == order.transaction:
            return Answer.from_text(Code.CHANGED, f"update {name} is {task.state}")
        if (busy := self._busy_with()) is not None:
            return Answer.from_text(Code.CONFLICT, f"update {_name(busy)} is running")
        try:
            await check_newer(order, self._running, self._settings.trust())
            await self._report_final()  # before the record of the last update is overwritten
            await self._save(Task(order))
        except OtaError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        except OSError as error:
            return Answer.from_text(Code.SERVICE_UNAVAILABLE, f"the order cannot be kept: {error}")
        self._effort, self._switching = Interruptible(), False  # the last one may still clean up
        if not self._given_up:  # else wait for the restart: the other slot is the roll-back target
            self._wake.set()
        return Answer.from_text(Code.CHANGED, f"update {name} is taken")

    async def cancel(self, transaction: str) -> Answer:
        """Cancel an update before it is INSTALLED; the answer's text is for people.

        2.04: it is cancelled, or was over already. 4.04: no such update. 4.09: the machine is
        already switching to the new version. The update ends FAILED ("cancelled") before this
        returns, unless that takes longer than `CANCEL_PATIENCE`; another order may follow at once.
        """
        name = _name(transaction)
        async with self._gate:
            task = self._task
            if task is None or task.transaction != transaction:
                return Answer.from_text(Code.NOT_FOUND, f"there is no update {name}")
            if task.state.is_final:
                return Answer.from_text(Code.CHANGED, f"update {name} is {task.state}")
            if self._switching or self._on_trial or task.state is State.INSTALLED:
                return Answer.from_text(Code.CONFLICT, f"update {name} is being switched to")
            effort = self._effort
            effort.cancel(CancelledOrderError("cancelled: by an order"))
            self._wake.set()
        over = await effort.wait_until_over(CANCEL_PATIENCE)
        ended = "cancelled" if over else "being cancelled"
        return Answer.from_text(Code.CHANGED, f"update {name} is {ended}")

    def _busy_with(self) -> str | None:
        if self._task is not None and not self._task.state.is_final:
            return self._task.transaction
        return self._trial.transaction if self._on_trial and self._trial else None

    async def run(self) -> None:
        """Continue the unfinished update, then carry out orders, until the task is cancelled."""
        await self._recover_in_time()
        while True:
            try:
                async with asyncio.timeout(RETRY_SECONDS if self._owes_report() else None):
                    await self._wake.wait()
            except TimeoutError:
                async with self._gate:
                    await self._settle()
                continue
            self._wake.clear()
            await self._work()

    def _owes_report(self) -> bool:
        return self._task is not None and self._task.state.is_final and not self._task.reported

    async def _settle(self) -> None:
        """Make the final report; if it cannot be stored, leave it for the next retry."""
        try:
            await self._report_final()
        except OSError as error:
            _log.warning("the final report of an update cannot be stored: %s", error)

    async def _recover_in_time(self) -> None:
        while True:
            try:
                return await self._recover()
            except OSError as error:  # retry: the machine must still play stories
                _log.error("the last update cannot be continued: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _recover(self) -> None:
        verdict = self._verdict
        if self._task is not None and not self._task.state.is_final:
            _log.info(
                "update %s was at %s: %s %s",
                _name(self._task.transaction),
                self._task.step,
                verdict.action.name,
                verdict.reason,
            )
        await self._tidy()
        async with self._gate:
            await self._carry_out(verdict)
            await self._settle()
        if self._on_trial:
            await self._await_confirmation()

    async def _carry_out(self, verdict: Verdict) -> None:
        if verdict.action is Action.GO_ON:
            await self._go_on()
        elif verdict.action is Action.TRIAL and self._on_trial:
            await self._try_enter_trial()
        elif verdict.action is Action.SUCCEED:
            await self._enter_trial()
            await self._succeed()
        elif verdict.action is Action.FAIL:
            await self._enter_trial()
            await asyncio.to_thread(self._installer.roll_back, verdict.reason)
            await self._end_failed_trial(verdict.reason, counts=verdict.counts)
        elif verdict.action is Action.GO_BACK:
            await asyncio.to_thread(self._installer.roll_back, verdict.reason)
        if verdict.restart:
            self._leave_given_up()
        self._verdict = Verdict(Action.IDLE)

    async def _go_on(self) -> None:
        """Repeat the step; if a newer base was installed since, check the package again first."""
        task = self._task
        admitted = task and task.step in {Step.DOWNLOAD, Step.INSTALL, Step.SWITCH}
        if task and admitted and version_key(task.order.version) <= version_key(self._running):
            await self._save(task.at(Step.CHECK))
        self._wake.set()

    async def _tidy(self) -> None:
        """Remove downloads and versions that are no longer needed."""
        task = self._task
        keep = task is not None and task.step in {Step.CHECK, Step.DOWNLOAD, Step.INSTALL}
        try:
            if not keep:
                await asyncio.to_thread(discard, self._settings.download_dir)
            if task is None or task.step is not Step.SWITCH:
                await asyncio.to_thread(self._installer.collect, self._running)
        except OSError as error:
            _log.warning("the files of an earlier update cannot be removed: %s", error)

    async def _work(self) -> None:
        """Carry out the stored task step by step, until the restart or its failure."""
        steps = {
            Step.BEGIN: self._begin,
            Step.CHECK: self._check,
            Step.DOWNLOAD: self._download,
            Step.INSTALL: self._install,
            Step.SWITCH: self._switch,
            Step.TRIAL: self._switch,  # only if `recover` found that the machine has not restarted
        }
        effort = self._effort
        try:
            while not self._switching and (task := self._task) and task.step in steps:
                effort.check()
                await steps[task.step](task)
        except OtaError as error:
            await self._give_up(error)
        except OSError as error:
            await self._give_up(MachineError(f"disk: {error}"))
        except Exception as error:  # noqa: BLE001  # fail: the next start would repeat the step
            _log.exception("a bug in an update")
            await self._give_up(MachineError(f"bug: {type(error).__name__}: {error}"))
        finally:
            effort.end()
            if self._effort is effort:
                self._effort, self._switching = Interruptible(), False

    async def _give_up(self, error: OtaError) -> None:
        async with self._gate:
            try:  # the switch may have been made before the failure
                await asyncio.to_thread(self._installer.roll_back, str(error))
            except OSError as fault:  # the next start detects it and rolls back
                _log.error("the switch cannot be undone: %s", fault)
            await self._fail(error)
        await self._tidy()

    async def _begin(self, task: Task) -> None:
        await self._save(task.at(Step.CHECK))

    async def _check(self, task: Task) -> None:
        reports = self._reports(task.transaction)
        await reports.begin()
        target = await self._effort.run(lambda stop: self._find_target(task.order, stop))
        known = await asyncio.to_thread(load_history, self._settings.state_dir)
        check_budget(known, target.sha256)
        await self._save(task.at(Step.DOWNLOAD, target))

    def _find_target(self, order: OtaOrder, stop: threading.Event) -> Target:
        attempts = Attempts(self._settings.refresh, stop, self._rng)
        while True:
            try:
                return find_target(self._settings.trust(), order, self._running, stop)
            except FetchError as error:
                _log.info("update %s: %s", _name(order.transaction), error)
                attempts.failed(error)

    async def _download(self, task: Task) -> None:
        order, target, settings = task.order, task.admitted, self._settings

        def work(stop: threading.Event, seen: Progress) -> Package:
            return fetch_package(order, target, settings, self._installer, stop, seen, self._rng)

        reports = self._reports(task.transaction)
        await reports.state(OtaState.DOWNLOADING)
        self._package = await self._percent.told(self._effort, reports, OtaEvent.DOWNLOADING, work)
        await reports.download_complete()
        await reports.state(OtaState.DOWNLOADED)
        await self._save(task.at(Step.INSTALL))

    async def _install(self, task: Task) -> None:
        package, target = self._package, task.admitted
        if package is None:
            # After a restart: hash the bytes on disk again, and fetch those that are missing.
            await self._save(task.at(Step.DOWNLOAD))
            return

        def work(stop: threading.Event, seen: Progress) -> None:
            install_package(self._installer, package, target, stop, seen)

        reports = self._reports(task.transaction)
        await self._save(task.installing())
        await reports.state(OtaState.INSTALLING)
        await self._percent.told(self._effort, reports, OtaEvent.INSTALLING, work)
        self._package = None
        await self._save(task.at(Step.SWITCH))
        await self._tidy()

    async def _switch(self, task: Task) -> None:
        order = task.order
        await self._restarter.wait_until_quiet(
            self._effort, _name(order.transaction), forced=order.forced
        )
        self._switching = True
        await asyncio.to_thread(discard_trial_log, self._settings.state_dir)
        await asyncio.to_thread(self._installer.activate, order.version, order.transaction)
        await self._enter_trial()
        _log.info("update %s: restarting into %s", _name(order.transaction), order.version)
        reboot = self._installer.needs_reboot
        self._restarter.begin(Restart(to_new=True, reboot=reboot, forced=order.forced))

    async def confirm(self) -> None:
        """Confirm that this new version works, so that it stays; without a trial, do nothing.

        Raises:
            OSError: the confirmation is not stored; call again.
        """
        async with self._gate:
            if not self._on_trial:
                return
            await self._enter_trial()
            await asyncio.to_thread(self._installer.confirm)
            await self._succeed()
            self._end_trial()
        await self._tidy()

    async def fail_trial(self, reason: str) -> None:
        """Roll this new version back for ``reason``: the previous one starts, the update is FAILED.

        Without a trial, do nothing.

        Raises:
            OSError: the roll-back is not stored; call again.
        """
        # It may quote a file name, which need not be valid Unicode.
        reason = reason.encode(errors="replace").decode()
        async with self._gate:
            if not self._on_trial:
                return
            await self._try_enter_trial()
            await asyncio.to_thread(self._installer.roll_back, reason)
            await self._end_failed_trial(f"version {self._running} was rolled back: {reason}")
            self._end_trial()
        self._leave_given_up()

    def _leave_given_up(self) -> None:
        """Restart out of this version, which was rolled back; orders wait for the next start."""
        self._given_up = True
        self._restarter.begin(Restart(to_new=False, reboot=self._installer.needs_reboot))

    def _end_trial(self) -> None:
        self._on_trial = False
        self._trial_over.set()

    async def _await_confirmation(self) -> None:
        timeout = self._settings.confirm_timeout
        try:
            async with asyncio.timeout(timeout):
                await self._trial_over.wait()
        except TimeoutError:
            await self.fail_trial(f"not proven within {timeout:g} s: {self._hooks.unproven()}")

    async def _end_failed_trial(self, reason: str, *, counts: bool = True) -> None:
        """Count the failed trial of its package, report its log, and report the failure.

        ``counts``: False if the version was never started, since the machine did not restart.
        """
        task = self._task
        if counts and task is not None and task.target is not None:
            entry = GivenUp(task.target.sha256, task.target.version, 1, task.transaction, reason)
            try:
                await asyncio.to_thread(count_trial, self._settings.state_dir, entry)
                await self._reports(task.transaction).log(
                    task.target.version, self._hooks.log_lines()
                )
            except OSError as error:  # neither must prevent the report of the failure
                _log.warning("update %s: %s", _name(task.transaction), error)
        fault = ContentError("new version given up", reason, OtaEvent.IMAGE_INVALID)
        await self._fail(fault)

    async def _enter_trial(self) -> None:
        """Move the task to INSTALLED and report that to the cloud, before the trial can end."""
        task = self._task
        if task is None or task.state.is_final:
            return
        if task.state is State.RUNNING:
            await self._save(task.at(Step.TRIAL))
        await self._reports(task.transaction).state(OtaState.INSTALLED)

    async def _try_enter_trial(self) -> None:
        """Call `_enter_trial`; only log an error: it must not stop the timeout or a roll-back."""
        try:
            await self._enter_trial()
        except OSError as error:
            _log.error("the start of the trial cannot be stored: %s", error)

    async def _succeed(self) -> None:
        if self._task is not None and not self._task.state.is_final:
            await self._finish(self._task.succeeded())
        elif self._trial is not None:  # task.json was damaged: still make the report
            await self._reports(self._trial.transaction).final(OtaEvent.INSTALLED, None)

    async def _fail(self, error: OtaError) -> None:
        if self._task is not None and not self._task.state.is_final:
            _log.warning("update %s failed: %s", _name(self._task.transaction), error)
            # Before the record is saved, so that a full disk has room for it.
            await asyncio.to_thread(discard, self._settings.download_dir)
            await self._finish(self._task.failed(error))
        elif self._trial is not None:  # task.json was damaged: still make the report
            await self._reports(self._trial.transaction).final(error.event, str(error))

    async def _finish(self, task: Task) -> None:
        try:
            await self._save(task)
        except OSError as error:
            # A restart will repeat the update; the final report is still made only once.
            _log.error("update %s: its result cannot be stored: %s", _name(task.transaction), error)
            self._task = task
        await self._settle()

    async def _report_final(self) -> None:
        task = self._task
        if task is None or task.event is None or task.reported:
            return
        await self._reports(task.transaction).final(task.event, task.failure)
        try:
            await self._save(replace(task, reported=True))
        except OSError as error:  # the report is made; its key prevents a second one
            _log.warning("update %s: %s", _name(task.transaction), error)

    async def _save(self, task: Task) -> None:
        await asyncio.to_thread(save_task, self._settings.state_dir, task)
        self._task = task

    def _reports(self, transaction: str) -> UpdateReports:
        return UpdateReports(self._report, transaction)


def _name(transaction: str) -> str:
    """Return a transaction for a message: the cloud's text, but printable and of bounded length."""
    return show(transaction).strip('"')
