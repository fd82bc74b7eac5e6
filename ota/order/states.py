"""The states of one update, named as the open API names them (5.4), and which may follow which.

The table is data: the machine checks each change against it and docs/ota.md shows it, drawn by
``python -m ota.order.states`` (Mermaid).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from ota.errors import MisuseError


class State(StrEnum):
    """Where an update stands."""

    CREATED = "CREATED"
    """The order is taken and on disk; nothing was done for it yet."""
    RUNNING = "RUNNING"
    """Metadata is checked, the package downloaded, unpacked or switched to."""
    INSTALLED = "INSTALLED"
    """The switch is made; the new version starts and has to prove itself."""
    SUCCESS = "SUCCESS"
    """The new version proved itself and stays."""
    FAILED = "FAILED"
    """It was given up, with the reason; the old version runs."""

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.CREATED: frozenset({State.RUNNING, State.FAILED}),
        State.RUNNING: frozenset({State.INSTALLED, State.FAILED}),
        State.INSTALLED: frozenset({State.SUCCESS, State.FAILED}),
        State.SUCCESS: frozenset(),
        State.FAILED: frozenset(),
    }
)


class Step(StrEnum):
    """What an unfinished update does next: the intent that is on disk before it is done."""

    BEGIN = "begin"
    CHECK = "check"
    DOWNLOAD = "download"
    INSTALL = "install"
    SWITCH = "switch"
    TRIAL = "trial"
    DONE = "done"


STEPS: Mapping[State, frozenset[Step]] = MappingProxyType(
    {
        State.CREATED: frozenset({Step.BEGIN}),
        State.RUNNING: frozenset({Step.CHECK, Step.DOWNLOAD, Step.INSTALL, Step.SWITCH}),
        State.INSTALLED: frozenset({Step.TRIAL}),
        State.SUCCESS: frozenset({Step.DONE}),
        State.FAILED: frozenset({Step.DONE}),
    }
)


class IllegalTransitionError(MisuseError):
    """Our code tried to change an update into a state that may not follow."""

    def __init__(self, before: State, after: State) -> None:
        """Name both states and what would have been right."""
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
        super().__init__(f"{before} → {after}: after {before} may come {allowed}")


def check_transition(before: State, after: State) -> None:
    """Raise IllegalTransitionError unless ``after`` may follow ``before``."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(before, after)


def mermaid() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.CREATED}"]
    for before, followers in TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in State if after in followers]
        lines += [f"    {before} --> [*]"] * (not followers)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(mermaid() + "\n")
