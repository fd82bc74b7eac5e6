"""The updater: carries out an order up to its single final report, across any number of crashes.

Each step is stored on disk before it is taken, so that a start after a crash repeats it; every step
is repeatable. Other modules decide (`states`, `recovery`, `trust`, `launch`); this one connects
them with the disk, the installer, the outbox and time. What fetches and verifies is imported when an
order comes: each start of the agent would pay for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from typing import TYPE_CHECKING

from base.clock import TrustedTime
from ota.errors import (
    CancelledOrderError,
    FetchError,
    MachineError,
    OtaError,
)
from ota.fetch.folder import discard
from ota.fetch.retry import Attempts
from ota.install.installer import LEFT, Installer, Progress
from ota.order.percent import Percent
from ota.order.record import TaskRecord, show_transaction
from ota.order.recovery import Action, Verdict, recover, show_left
from ota.order.reports import Reporter
from ota.order.states import State, Step
from ota.order.task import Task
from ota.order.worker import Interruptible
from ota.restart import Restart, Restarter
from ota.settings import Hooks, UpdaterSettings
from ota.space import describe_full
from ota.trial.doubt import settle
from ota.trial.given_up import check_budget, load_given_up
from ota.trial.log import append_lines, discard_trial_log
from ota.trial.running_trial import RunningTrial
from ota.trust.target import Target
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer
from wire.ota import OtaEvent, OtaOrder, OtaState, parse_order, version_key

if TYPE_CHECKING:
    from ota.fetch.packages import Package

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
        self._restarter = restarter
        self._running = running_version
        self._rng = rng
        standing = installer.standing()
        on_trial = standing.trial.transaction if standing.trial else None
        self._is_older = on_trial == LEFT  # the version after it kept dying
        self._record = TaskRecord(settings.state_dir, settings.download_dir, report, on_trial)
        self._left = show_left(self._record.task, standing, running_version)
        self._verdict = recover(self._record.task, standing, running_version)
        self._trial = RunningTrial(
            self._record,
            installer,
            settings.state_dir,
            self._hooks.log_lines,
            is_on=self._verdict.action is Action.TRIAL,
        )
        self._trial_transaction = on_trial
        # Serializes changes of the task by orders, confirmations and final reports.
        self._gate = asyncio.Lock()
        self._wake = asyncio.Event()
        self._package: Package | None = None
        self._percent = Percent(settings.percent_interval)
        self._effort = Interruptible()
        self._switching = False
        self._given_up = self._repairs = False

    @property
    def on_trial(self) -> bool:
        """Whether this process is a new version that has not been confirmed yet."""
        return self._trial.is_on

    @property
    def busy(self) -> bool:
        """Whether an update is under way, or a new version on trial."""
        return self._busy_with() is not None

    def status(self) -> dict[str, object]:
        """Describe the last update: transaction, version, state, step, percent (0..1), failure.

        ``left``: the confirmed version that the launcher left for this one, and why; None: there is none.
        """
        task = self._record.task
        return {
            "running": self._running,
            "onTrial": self._trial.is_on,
            "transaction": task.transaction if task else None,
            "version": task.order.version if task else None,
            "state": str(task.state) if task else None,
            "step": str(task.step) if task else None,
            "percent": self._percent.part if task and task.state is State.RUNNING else None,
            "failure": task.failure if task else None,
            "left": self._left,
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
        task, name = self._record.task, show_transaction(order.transaction)
        if task is not None and task.is_of(order) and not await self._is_asked_anew(task):
            return Answer.from_text(Code.CHANGED, f"update {name} is {task.state}")
        if (busy := self._busy_with()) is not None:
            return Answer.from_text(Code.CONFLICT, f"update {show_transaction(busy)} is running")
        from ota.trust.client import check_newer  # noqa: PLC0415  # see the module's head

        try:
            await check_newer(order, self._running, self._settings.trust())
            await self._record.report_final()  # before the record of the last update is overwritten
            await self._record.save(Task.taken(order))
        except OtaError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        except OSError as error:
            text = describe_full(error, self._settings.state_dir)
            return Answer.from_text(Code.SERVICE_UNAVAILABLE, f"the order cannot be kept: {text}")
        self._effort, self._switching = Interruptible(), False  # the last one may still clean up
        if not self._given_up:  # else wait for the restart: the other slot is the roll-back target
            self._wake.set()
        return Answer.from_text(Code.CHANGED, f"update {name} is taken")

    async def _is_asked_anew(self, task: Task) -> bool:
        """Return whether a cloud that was told how this task ended orders it again: it was set up anew.

        A success is only told again.
        """
        if not (task.state.is_final and task.reported and self._hooks.all_told()):
            return False
        if task.state is not State.SUCCESS or task.order.version != self._running:
            return True
        try:
            await self._record.tell_again()
        except OSError as error:
            _log.warning("the success of an update cannot be told again: %s", error)
        return False

    async def cancel(self, transaction: str) -> Answer:
        """Cancel an update before it is INSTALLED; the answer's text is for people.

        2.04: it is cancelled, or was over already. 4.04: no such update. 4.09: the machine is
        already switching to the new version. The update ends FAILED ("cancelled") before this
        returns, unless that takes longer than `CANCEL_PATIENCE`; another order may follow at once.
        """
        name = show_transaction(transaction)
        async with self._gate:
            task = self._record.task
            if task is None or task.transaction != transaction:
                return Answer.from_text(Code.NOT_FOUND, f"there is no update {name}")
            if task.state.is_final:
                return Answer.from_text(Code.CHANGED, f"update {name} is {task.state}")
            if self._switching or self._trial.is_on or task.state is State.INSTALLED:
                return Answer.from_text(Code.CONFLICT, f"update {name} is being switched to")
            effort = self._effort
            effort.cancel(CancelledOrderError("cancelled: by an order"))
            self._wake.set()
        over = await effort.wait_until_over(CANCEL_PATIENCE)
        ended = "cancelled" if over else "being cancelled"
        return Answer.from_text(Code.CHANGED, f"update {name} is {ended}")

    def _busy_with(self) -> str | None:
        if (task := self._record.unfinished) is not None:
            return task.transaction
        return self._trial_transaction if self._trial.is_on else None

    async def run(self) -> None:
        """Continue the unfinished update, then carry out orders, until the task is cancelled."""
        await self._recover_in_time()
        looking_back = asyncio.create_task(self._look_back())
        try:
            await self._carry_out_orders()
        finally:
            looking_back.cancel()

    async def _carry_out_orders(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RETRY_SECONDS if self._record.owes_report else None):
                    await self._wake.wait()
            except TimeoutError:
                async with self._gate:
                    await self._record.settle()
            else:
                self._wake.clear()
                await self._work()

    async def _recover_in_time(self) -> None:
        while True:
            try:
                return await self._recover()
            except OSError as error:  # retry: the machine must still play stories
                _log.error("the last update cannot be continued: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _recover(self) -> None:
        verdict = self._verdict
        if (task := self._record.unfinished) is not None:
            _log.info(
                "update %s was at %s: %s %s",
                show_transaction(task.transaction),
                task.step,
                verdict.action.name,
                verdict.reason,
            )
        if verdict.action in {Action.FAIL, Action.LEFT}:
            await self._examine()
        await self._tidy()
        async with self._gate:
            await self._carry_out(verdict)
            await self._record.settle()
        if self._trial.is_on:
            await self._await_confirmation()

    async def _carry_out(self, verdict: Verdict) -> None:
        if verdict.action is Action.GO_ON:
            await self._go_on()
        elif verdict.action is Action.TRIAL and self._trial.is_on:
            await self._trial.begin()
        elif verdict.action is Action.SUCCEED:
            await self._record.enter_trial()
            await self._record.succeed()
        elif verdict.action is Action.FAIL:
            await self._record.enter_trial()
            await asyncio.to_thread(self._installer.roll_back, verdict.reason)
            await self._trial.report_failure(verdict.reason, counts=verdict.counts)
        elif verdict.action in {Action.REPAIR, Action.LEFT}:
            _log.error("%s; this version runs instead", self._left)
            counts = verdict.action is Action.LEFT
            await self._trial.report_left(str(self._left), counts=counts)
        elif verdict.action is Action.GO_BACK:
            await asyncio.to_thread(self._installer.roll_back, verdict.reason)
        if verdict.restart:
            self._leave_given_up()
        self._repairs = verdict.action is Action.REPAIR
        self._verdict = Verdict(Action.IDLE)

    async def _examine(self) -> None:
        """Add to the log of a version that was left what it says when it is imported, if it has none."""
        task = self._record.task
        if task is None or self._hooks.log_lines():
            return
        lines = await asyncio.to_thread(self._installer.examine, task.order.version)
        if lines:
            await asyncio.to_thread(append_lines, self._settings.state_dir, lines)

    async def _look_back(self) -> None:
        """Once it is known whether the cloud can be reached: settle a trial in doubt, and repair."""
        if self._given_up:  # the version that runs next does
            return
        try:
            await settle(self._settings.state_dir, self._hooks.reached_cloud)
            if self._repairs:
                await self._hooks.reached_cloud()
                await self._repair()
        except OSError as error:  # the next start tries again
            _log.warning("the last trial cannot be settled: %s", error)

    async def _repair(self) -> None:
        """Carry the last order out again: its files on this machine were damaged."""
        async with self._gate:
            task = self._record.task
            if task is None or task.state is not State.SUCCESS:  # another order came first
                return
            _log.info("version %s is fetched again", task.order.version)
            await self._record.save(task.repairing())
            self._effort, self._switching = Interruptible(), False
            self._wake.set()

    async def _go_on(self) -> None:
        """Repeat the step; if a newer base was installed since, check the package again first."""
        task = self._record.task
        admitted = task and task.step in {Step.DOWNLOAD, Step.INSTALL, Step.SWITCH}
        if task and admitted and version_key(task.order.version) <= version_key(self._running):
            await self._record.save(task.at(Step.CHECK))
        self._wake.set()

    async def _tidy(self) -> None:
        """Remove downloads and versions that are no longer needed."""
        task = self._record.task
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
            while not self._switching and (task := self._record.task) and task.step in steps:
                effort.check()
                await steps[task.step](task)
        except OtaError as error:
            await self._give_up(error)
        except OSError as error:
            text = describe_full(error, self._settings.state_dir)
            await self._give_up(MachineError(f"disk: {text}"))
        except Exception as error:  # noqa: BLE001  # fail: the next start would repeat the step
            _log.exception("a bug in an update")
            await self._give_up(MachineError(f"bug: {type(error).__name__}: {error}"))
        # Not where the process ends meanwhile: what is not stored is no end, and nobody may be told of one.
        effort.end()
        if self._effort is effort:
            self._effort, self._switching = Interruptible(), False

    async def _give_up(self, error: OtaError) -> None:
        async with self._gate:
            try:  # the switch may have been made before the failure
                await asyncio.to_thread(self._installer.roll_back, str(error))
            except OSError as fault:  # the next start detects it and rolls back
                _log.error("the switch cannot be undone: %s", fault)
            await self._record.fail(error)
        await self._tidy()

    async def _begin(self, task: Task) -> None:
        await self._record.save(task.at(Step.CHECK))

    async def _check(self, task: Task) -> None:
        reports = self._record.reports(task)
        await reports.begin()
        target = await self._effort.run(lambda stop: self._find_target(task.order, stop))
        given_up = await asyncio.to_thread(load_given_up, self._settings.state_dir)
        check_budget(given_up, target.sha256)
        await self._record.save(task.at(Step.DOWNLOAD, target))

    def _find_target(self, order: OtaOrder, stop: threading.Event) -> Target:
        from ota.trust.client import find_target  # noqa: PLC0415  # see the module's head

        attempts = Attempts(self._settings.refresh, stop, self._rng)
        while True:
            try:
                return find_target(self._settings.trust(), order, self._running, stop)
            except FetchError as error:
                _log.info("update %s: %s", show_transaction(order.transaction), error)
                attempts.failed(error)

    async def _download(self, task: Task) -> None:
        order, target, settings = task.order, task.admitted, self._settings

        def work(stop: threading.Event, seen: Progress) -> Package:
            from ota.fetch.packages import fetch_package  # noqa: PLC0415  # see the module's head

            return fetch_package(order, target, settings, self._installer, stop, seen, self._rng)

        reports = self._record.reports(task)
        await reports.state(OtaState.DOWNLOADING)
        self._package = await self._percent.report_during(
            self._effort, reports, OtaEvent.DOWNLOADING, work
        )
        await reports.download_complete()
        await reports.state(OtaState.DOWNLOADED)
        await self._record.save(task.at(Step.INSTALL))

    async def _install(self, task: Task) -> None:
        package, target = self._package, task.admitted
        if package is None:
            # After a restart: hash the bytes on disk again, and fetch those that are missing.
            await self._record.save(task.at(Step.DOWNLOAD))
            return

        def work(stop: threading.Event, seen: Progress) -> None:
            from ota.fetch.packages import install_package  # noqa: PLC0415  # see the module's head

            install_package(self._installer, package, target, stop, seen)

        reports = self._record.reports(task)
        await self._record.save(task.installing())
        await reports.state(OtaState.INSTALLING)
        await self._percent.report_during(self._effort, reports, OtaEvent.INSTALLING, work)
        self._package = None
        await self._record.save(task.at(Step.SWITCH))
        await self._tidy()

    async def _switch(self, task: Task) -> None:
        order = task.order
        await self._restarter.wait_until_quiet(
            self._effort, show_transaction(order.transaction), forced=order.forced
        )
        self._switching = True
        await asyncio.to_thread(discard_trial_log, self._settings.state_dir)
        await asyncio.to_thread(self._installer.activate, order.version, order.transaction)
        await self._record.enter_trial()
        _log.info(
            "update %s: restarting into %s", show_transaction(order.transaction), order.version
        )
        reboot = self._installer.needs_reboot
        self._restarter.begin(Restart(to_new=True, reboot=reboot, forced=order.forced))

    async def confirm(self) -> None:
        """Confirm that this new version works, so that it stays; without a trial, do nothing.

        Raises:
            OSError: the confirmation is not stored; call again.
        """
        async with self._gate:
            if not self._trial.is_on:
                return
            await self._trial.confirm()
            if self._is_older and self._left is not None:
                await self._trial.report_left(self._left, counts=True)
        await self._tidy()

    async def fail_trial(self, reason: str, *, in_doubt: bool = False) -> None:
        """Roll this new version back for ``reason``: the previous one starts, the update is FAILED.

        Without a trial, do nothing. ``in_doubt``: it lacks nothing but the cloud, which may be out.

        Raises:
            OSError: the roll-back is not stored; call again.
        """
        # It may quote a file name, which need not be valid Unicode.
        reason = reason.encode(errors="replace").decode()
        async with self._gate:
            if not self._trial.is_on:
                return
            await self._trial.roll_back(reason, self._running, in_doubt=in_doubt)
        self._leave_given_up()

    def _leave_given_up(self) -> None:
        """Restart out of this version, which was rolled back; orders wait for the next start."""
        self._given_up = True
        self._restarter.begin(Restart(to_new=False, reboot=self._installer.needs_reboot))

    async def _await_confirmation(self) -> None:
        timeout = self._settings.confirm_timeout
        is_over = await self._trial.wait_until_over(timeout)
        if not is_over and self._is_older:  # it runs, and the one that it would go back to does not
            await self.confirm()
        elif not is_over:
            await self.fail_trial(
                f"not proven within {timeout:g} s: {self._hooks.missing_checks()}",
                in_doubt=self._hooks.lacks_cloud_only(),
            )
