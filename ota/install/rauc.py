"""The ``rauc`` installer: write a bundle to the slot that is not booted, then restart the machine.

RAUC writes the image and configures the boot loader; STATE/ota/rauc.json stores which version is on
trial in which slot, and in which boot of the machine the trial was recorded. A machine that starts
the old version while a trial is recorded has fallen back, through the boot loader or a power cut
before the first start. RAUC must run with ``activate-installed=false``, so that only
`RaucInstaller.activate` changes what starts next.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from base.files import make_folder, write_atomically
from ota.errors import ContentError, IncompletePackageError, MachineError, StoppedError
from ota.install.installer import LEFT, Progress, Standing
from ota.install.rauc_bus import (
    RaucBundleError,
    RaucBus,
    RaucDeadlines,
    RaucError,
    RaucRefusedError,
    RaucStoppedError,
    Slot,
    rauc_bus,
)
from ota.launch.boot import Rollback, Trial
from ota.trust.target import Target
from wire.errors import FieldError, WireError
from wire.fields import get_int, get_object, get_string, parse_object
from wire.ota import OtaEvent
from wire.records import dataclass

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlotTrial:
    """A version that is not confirmed yet, its slot, and the slot to roll back to.

    Attributes:
        slot: RAUC's name of the slot that holds it.
        old_slot: RAUC's name of the slot that was booted when it was activated.
        boot_id: the machine's boot at that time; a different one means that it has restarted.
        restarts: how often that boot has requested a restart into this version.
    """

    version: str
    transaction: str
    slot: str
    old_slot: str
    boot_id: str
    restarts: int = 1


@dataclass(frozen=True, slots=True)
class RaucRecord:
    """The content of rauc.json.

    Attributes:
        trial: the version that is not confirmed yet.
        last_rollback: the version that was last rolled back.
        given_up_in: the boot in which that version rolled itself back; None if the old one did it.
    """

    trial: SlotTrial | None = None
    last_rollback: Rollback | None = None
    given_up_in: str | None = None

    def to_bytes(self) -> bytes:
        """Render rauc.json."""
        # A reason may quote a file name, which need not be valid Unicode.
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode(errors="replace")


def parse_record(data: bytes) -> RaucRecord:
    """Parse rauc.json strictly; raises WireError naming the member."""
    source = parse_object(data, "rauc.json")
    trial = rollback = None
    if source.get("trial") is not None:
        members = get_object(source, "trial")
        names = ("version", "transaction", "slot", "old_slot", "boot_id")
        values: dict[str, Any] = {name: get_string(members, name, path="trial.") for name in names}
        if "restarts" in members:  # missing if written by an older version (a downgrade)
            values["restarts"] = get_int(members, "restarts", path="trial.", low=1)
        trial = SlotTrial(**values)
    if source.get("last_rollback") is not None:
        members = get_object(source, "last_rollback")
        transaction = members.get("transaction")
        if transaction is not None and not isinstance(transaction, str):
            raise FieldError("last_rollback.transaction", transaction, "a string or null")
        rollback = Rollback(
            get_string(members, "version", path="last_rollback."),
            get_string(members, "reason", path="last_rollback."),
            transaction,
        )
    # The member is missing if an older version, a downgrade rolled back from, wrote the record.
    known = source.get("given_up_in") is not None
    return RaucRecord(trial, rollback, get_string(source, "given_up_in") if known else None)


def interpret(record: RaucRecord, running: str, boot_id: str) -> Standing:
    """Return what the record means for a machine that runs ``running`` in the boot ``boot_id``.

    A trial whose version runs has begun. One whose version does not run is waiting for the machine
    to restart, if it was recorded in this boot; otherwise the machine has fallen back.
    """
    trial, rollback, restarts = record.trial, record.last_rollback, 0
    begun = None
    if trial is not None and trial.version == running:
        begun = Trial(trial.version, 1, trial.transaction)
    elif trial is not None and trial.boot_id == boot_id:
        restarts = trial.restarts
    elif trial is not None:
        reason = f"the machine started slot {trial.old_slot} again, not {trial.slot}"
        rollback = Rollback(trial.version, reason, trial.transaction)
    return Standing(begun, rollback, restarts, given_up=record.given_up_in == boot_id)


def may_start(booted: Slot, other: Slot) -> bool:
    """Return whether the other slot holds a version that has run on this machine, and was not given up.

    RAUC knows nothing of a slot that the factory wrote; it holds a system if the one that runs was installed from it.
    """
    is_factorys = not other.status and booted.status == "ok"
    return other.boot_status == "good" and (other.status == "ok" or is_factorys)


def read_boot_id() -> str:
    """Return the kernel's id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


class RaucInstaller:
    """Installs images through RAUC; see `ota.install.installer.Installer` for what each method means."""

    needs_reboot = True

    def __init__(
        self,
        state_dir: Path,
        running: str,
        *,
        deadlines: RaucDeadlines | None = None,
        address: str | None = None,
        boot_id: Callable[[], str] = read_boot_id,
    ) -> None:
        """Store rauc.json in ``state_dir``/ota.

        Args:
            state_dir: the agent's STATE folder, on a partition outside all slots.
            running: the version of the booted image, which this process runs.
            deadlines: time limits for RAUC.
            address: a D-Bus address; None: the system bus.
            boot_id: returns an id of this boot of the machine.
        """
        self._path = state_dir / "ota" / "rauc.json"
        self._running = running
        self._deadlines = deadlines or RaucDeadlines()
        self._address = address
        self._boot_id = boot_id

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        """Have RAUC verify the bundle's own signature and write it; the boot loader is unchanged.

        Raises:
            ContentError: RAUC refuses the bundle, or it holds a version other than the signed one.
            IncompletePackageError: RAUC cannot read or write it.
            MachineError: RAUC is unavailable, or stalls.
            StoppedError: ``stop`` was set; RAUC continues, and the next call waits for it.
        """
        progress(0, target.length)

        async def work(rauc: RaucBus) -> None:
            await rauc.wait_until_idle(stop)
            await _check_version(rauc, package, target)
            length = target.length
            await rauc.install(package, stop, lambda part: progress(length * part // 100, length))

        try:
            self._with_bus(work)
        except RaucStoppedError as error:
            raise StoppedError(str(error)) from error
        except RaucBundleError as error:
            detail = str(error)
            raise ContentError("refused by RAUC", detail, OtaEvent.IMAGE_INVALID) from error
        except RaucRefusedError as error:  # RAUC itself failed, rather than being absent or silent
            raise IncompletePackageError(f"RAUC: {error}") from error
        except RaucError as error:
            raise MachineError(f"RAUC: {error}") from error
        progress(target.length, target.length)

    def running_image(self) -> Path:
        """Return the device of the booted slot, from which RAUC copies blocks; raises RaucError."""

        async def work(rauc: RaucBus) -> Path:
            return Path(find_pair(await rauc.slots())[0].device)

        return self._with_bus(work)

    def activate(self, version: str, transaction: str) -> None:
        """Record the trial, then make the other slot start next; repeated calls are counted.

        Raises:
            MachineError: RAUC fails, or the other slot does not hold ``version``.
        """

        async def work(rauc: RaucBus) -> None:
            booted, other = find_pair(await rauc.slots())
            if (other.status, other.version) != ("ok", version):
                found = f"{other.version or 'nothing'} ({other.status or 'never written'})"
                raise MachineError(f"RAUC: slot {other.name} holds {found}, expected {version}")
            trial = SlotTrial(version, transaction, other.name, booted.name, self._boot_id())
            record = self._record()
            if record.trial is not None and replace(record.trial, restarts=1) == trial:
                trial = replace(trial, restarts=record.trial.restarts + 1)
            self._store(replace(record, trial=trial))
            await rauc.mark("active", other.name)

        try:
            self._with_bus(work)
        except RaucError as error:
            raise MachineError(f"RAUC: {error}") from error

    def confirm(self) -> None:
        """Mark the booted slot good for the boot loader, then end the trial; raises OSError."""
        record = self._read()
        trial = record.trial if record else None
        if record is not None and trial is None:
            return

        went_back = trial is not None and trial.transaction == LEFT

        async def work(rauc: RaucBus) -> None:
            booted = trial.slot if trial else find_pair(await rauc.slots())[0].name
            await rauc.mark("good", booted)
            if trial and went_back:
                await rauc.mark("bad", trial.old_slot)

        self._with_bus(work)
        self._store(
            RaucRecord(None, record.last_rollback) if record and went_back else RaucRecord()
        )

    def is_confirmed(self) -> bool:
        """Return whether the running version is on no trial, and no restart out of it is pending."""
        record = self._read()
        if record is None:
            return False
        standing = interpret(record, self._running, self._boot_id())
        return standing.trial is None and not standing.restarts and not standing.given_up

    def leave(self, reason: str, older: str) -> str:
        """Have the other slot start next, on trial, in place of the confirmed version that runs; return its version.

        The version there ends the trial as any does, also one that knows nothing of this: it marks its slot good.

        Args:
            reason: why the running version is left.
            older: the version of the other slot, if RAUC does not know it; "": unknown.

        Raises:
            MachineError: the other slot holds nothing that may start.
            OSError: RAUC or the disk fails.
        """

        async def work(rauc: RaucBus) -> str:
            booted, other = find_pair(await rauc.slots())
            version = other.version or older
            if not version or not may_start(booted, other):
                found = f"{version or 'no known version'}, {other.boot_status or 'not marked'}"
                raise MachineError(f"RAUC: slot {other.name} holds nothing to go back to ({found})")
            trial = SlotTrial(version, LEFT, other.name, booted.name, self._boot_id())
            self._store(RaucRecord(trial, Rollback(self._running, reason)))
            await rauc.mark("active", other.name)
            return version

        return self._with_bus(work)

    def roll_back(self, reason: str) -> None:
        """Make the old slot start next, then mark the new one bad; raises OSError."""
        trial = self._record().trial
        if trial is None:
            return

        async def work(rauc: RaucBus) -> None:
            # In this order, so that there is a bootable slot at every moment.
            await rauc.mark("active", trial.old_slot)
            await rauc.mark("bad", trial.slot)

        self._with_bus(work)
        rollback = Rollback(trial.version, reason, trial.transaction)
        given_up_in = self._boot_id() if trial.version == self._running else None
        self._store(RaucRecord(None, rollback, given_up_in))

    def standing(self) -> Standing:
        """Return what rauc.json, which exists during every trial, means in this boot."""
        record = self._read()
        if record is None:
            return Standing(record_lost=True)
        return interpret(record, self._running, self._boot_id())

    def examine(self, version: str) -> list[str]:  # noqa: ARG002  # the Installer's
        """Return nothing: another system's programs are not run from this one."""
        return []

    def collect(self, running: str) -> None:
        """Do nothing: a slot is overwritten, not removed."""

    def _record(self) -> RaucRecord:
        return self._read() or RaucRecord()

    def _read(self) -> RaucRecord | None:
        """Return rauc.json; None if it is missing or damaged."""
        try:
            return parse_record(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (WireError, OSError) as error:
            # Not fatal: `recovery` handles an update without its boot record.
            _log.error("rauc.json cannot be read: %s", error)
            return None

    def _store(self, record: RaucRecord) -> None:
        make_folder(self._path.parent)
        write_atomically(self._path, record.to_bytes())

    def _with_bus(self, work: Callable[[RaucBus], Awaitable[T]]) -> T:
        """Run ``work`` in a new event loop; the calling thread must have none."""

        async def run() -> T:
            async with rauc_bus(self._deadlines, self._address) as rauc:
                return await work(rauc)

        return asyncio.run(run())


async def _check_version(rauc: RaucBus, package: Path, target: Target) -> None:
    try:
        info = await rauc.info(package)
    except RaucRefusedError as error:
        # RAUC 1.8 reports only "rauc info error" here; the installation reports the reason.
        _log.warning("RAUC cannot read the bundle: %s", error)
        return
    if info.version != target.version:
        detail = f"the bundle holds {info.version}, {target.version} was signed"
        raise ContentError("wrong release", detail, OtaEvent.IMAGE_INVALID)


def find_pair(slots: tuple[Slot, ...]) -> tuple[Slot, Slot]:
    """Return the booted slot and the only other bootable slot; raises RaucRefusedError."""
    bootable = [slot for slot in slots if slot.boot_name]
    booted = [slot for slot in bootable if slot.is_booted]
    others = [slot for slot in bootable if not slot.is_booted]
    if len(booted) != 1 or len(others) != 1:
        found = ", ".join(f"{slot.name} ({slot.state})" for slot in slots) or "none"
        raise RaucRefusedError(f"expected one booted and one other bootable slot, found {found}")
    return booted[0], others[0]
