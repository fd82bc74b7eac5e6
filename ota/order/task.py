"""The record of one update; STATE/ota/task.json stores the next step before it is taken.

Parsing is strict: a damaged file is renamed to ``task.json.bad`` and the updater starts idle.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from base.files import make_folder, read_record, write_atomically
from ota.errors import MachineError, MisuseError, OtaError
from ota.order.states import STEPS, State, Step, check_transition
from ota.trust.target import Target
from ota.trust.terms import parse_map_file
from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_int, get_object, get_string, parse_object
from wire.ota import OtaEvent, OtaOrder, parse_order
from wire.records import dataclass

FORMAT = 1
# How often one installation may be begun. Power cuts do not explain more; without a limit, an
# installation that kills the agent or the machine each time would be repeated forever.
INSTALLS = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One order and its progress.

    Attributes:
        order: the order as the cloud sent it.
        state: the state, named as in the open API.
        step: the next step.
        target: the admitted package; set from the download step on.
        failure: why the update failed, in words; with FAILED only.
        event: the event of the final report; with SUCCESS and FAILED only.
        reported: whether the final report is in the outbox.
        installs: how often the installation was begun.
        repairs: how often the order was begun again by this machine, since its files were damaged.
        salt: marks the reports of this carrying-out: a cloud that was set up anew hands out numbers
            again, under which reports were made already. "" in records of older versions.
    """

    order: OtaOrder
    state: State = State.CREATED
    step: Step = Step.BEGIN
    target: Target | None = None
    failure: str | None = None
    event: OtaEvent | None = None
    reported: bool = False
    installs: int = 0
    repairs: int = 0
    salt: str = ""

    @classmethod
    def taken(cls, order: OtaOrder) -> Task:
        """Return the task of an order that is begun now."""
        return cls(order, salt=secrets.token_hex(4))

    def repairing(self) -> Task:
        """Return the task of the same order, begun again; the cloud was told how it ended."""
        return Task(self.order, repairs=self.repairs + 1, salt=self.salt)

    @property
    def report_name(self) -> str:
        """The name under which the outbox knows what was reported of this task."""
        return f"{self.transaction}.{self.salt}" if self.salt else self.transaction

    def is_of(self, order: OtaOrder) -> bool:
        """Return whether this is the task of ``order``, and not of another one under its number."""
        mine = self.order
        return (mine.transaction, mine.fingerprint) == (order.transaction, order.fingerprint)

    @property
    def transaction(self) -> str:
        """The id that the cloud gave this update."""
        return self.order.transaction

    @property
    def admitted(self) -> Target:
        """The admitted package; raises MisuseError (a bug) at a step that has none."""
        if self.target is None:
            raise MisuseError(f"step {self.step} without a target")
        return self.target

    def at(self, step: Step, target: Target | None = None) -> Task:
        """Return the task at another step and in that step's state.

        Raises:
            IllegalTransitionError: a bug: that state must not follow the current one.
        """
        state = next(state for state, steps in STEPS.items() if step in steps)
        if state != self.state:
            check_transition(self.state, state)
        return replace(self, state=state, step=step, target=target or self.target)

    def installing(self) -> Task:
        """Return the task with one more installation begun; raises MachineError over the limit."""
        if self.installs >= INSTALLS:
            raise MachineError(f"the installation was begun {INSTALLS} times and never ended")
        return replace(self, installs=self.installs + 1)

    def succeeded(self) -> Task:
        """Return the task as a success; raises IllegalTransitionError."""
        check_transition(self.state, State.SUCCESS)
        return replace(self, state=State.SUCCESS, step=Step.DONE, event=OtaEvent.INSTALLED)

    def failed(self, error: OtaError) -> Task:
        """Return the task as failed for ``error``; raises IllegalTransitionError."""
        check_transition(self.state, State.FAILED)
        return replace(
            self, state=State.FAILED, step=Step.DONE, failure=str(error), event=error.event
        )

    def to_bytes(self) -> bytes:
        """Render task.json."""
        record = {"format": FORMAT, **asdict(self)}
        # A failure may quote a file name, which need not be valid Unicode.
        return json.dumps(record, ensure_ascii=False, indent=1).encode(errors="replace")


def parse_task(data: bytes) -> Task:
    """Read task.json strictly; raises WireError naming the member and what was expected."""
    source = parse_object(data, "task.json")
    get_int(source, "format", low=FORMAT, high=FORMAT)
    order = parse_order(dump_object({"ota": get_object(source, "order")}))
    reported = source.get("reported")
    if not isinstance(reported, bool):
        raise FieldError("reported", reported, "true or false")
    task = Task(
        order=order,
        state=State(_one_of(source, "state", State)),
        step=Step(_one_of(source, "step", Step)),
        target=_parse_target(source),
        failure=None if source.get("failure") is None else get_string(source, "failure"),
        event=_parse_event(source),
        reported=reported,
        # Older versions did not write them.
        installs=get_int(source, "installs") if "installs" in source else 0,
        repairs=get_int(source, "repairs") if "repairs" in source else 0,
        salt=get_string(source, "salt", empty=True) if "salt" in source else "",
    )
    _check_consistent(task)
    return task


def _one_of(source: Mapping[str, object], name: str, kind: type[State | Step]) -> str:
    value = get_string(source, name)
    if value not in set(kind):
        raise FieldError(name, value, " or ".join(kind))
    return value


def _parse_target(source: Mapping[str, object]) -> Target | None:
    if source.get("target") is None:
        return None
    target = get_object(source, "target")
    return Target(
        path=get_string(target, "path", path="target."),
        length=get_int(target, "length", path="target.", low=1),
        sha256=get_string(target, "sha256", path="target."),
        version=get_string(target, "version", path="target."),
        product=get_string(target, "product", path="target."),
        data_budget=_parse_budget(target),
        map=parse_map_file(target, "target."),
    )


def _parse_budget(target: Mapping[str, object]) -> int | None:
    if target.get("data_budget") is None:
        return None
    return get_int(target, "data_budget", path="target.", low=1)


def _parse_event(source: Mapping[str, object]) -> OtaEvent | None:
    if source.get("event") is None:
        return None
    number = get_int(source, "event", high=255)
    if number not in set(OtaEvent):
        raise FieldError("event", number, "a known event number")
    return OtaEvent(number)


def _check_consistent(task: Task) -> None:
    """Refuse members that are valid one by one but inconsistent with each other."""
    if task.step not in STEPS[task.state]:
        raise FieldError("step", task.step, f"a step of state {task.state}")
    needs_target = task.step in {Step.DOWNLOAD, Step.INSTALL, Step.SWITCH, Step.TRIAL}
    if needs_target and task.target is None:
        raise FieldError("target", None, f"an object at step {task.step}")
    if (task.event is None) == task.state.is_final:
        raise FieldError("event", task.event, "a number when, and only when, the state is final")
    if (task.failure is None) == (task.state is State.FAILED):
        raise FieldError("failure", task.failure, "a text when, and only when, the state is FAILED")


def task_path(state_dir: Path) -> Path:
    """Return the path of task.json."""
    return state_dir / "ota" / "task.json"


def save_task(state_dir: Path, task: Task) -> None:
    """Write the task to disk; it is durable when this returns. Raises OSError."""
    path = task_path(state_dir)
    make_folder(path.parent)
    write_atomically(path, task.to_bytes())


def read_task(state_dir: Path) -> Task | None:
    """Read the last task as `load_task` does; if the disk fails, log that and return None."""
    try:
        return load_task(state_dir)
    except OSError as error:
        _log.error("update record cannot be read: %s", error)
        return None


def load_task(state_dir: Path) -> Task | None:
    """Read the last task; None if there is none, or if its file was damaged and set aside.

    Raises:
        OSError: the disk failed.
    """
    path = task_path(state_dir)
    try:
        return parse_task(read_record(path))
    except FileNotFoundError:
        return None
    except WireError as error:
        bad = path.with_name("task.json.bad")
        path.replace(bad)
        _log.error("update record is damaged and set aside as %s: %s", bad, error)
        return None
