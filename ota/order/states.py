"""The states of one update, named as in the open API (5.4), and the transitions between them.

The updater checks each state change against the table. ``python -m ota.order.states`` prints it as the
Mermaid diagram in docs/ota.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from ota.errors import MisuseError


class State(StrEnum):
    """The state of an update."""

    CREATED = "CREATED"
    """The order is accepted and stored on disk; no work has begun."""
    RUNNING = "RUNNING"
    """The metadata is checked, or the package is downloaded, installed or switched to."""
    INSTALLED = "INSTALLED"
    """The switch is made; the new version is on trial."""
    SUCCESS = "SUCCESS"
    """The new version was confirmed and stays."""
    FAILED = "FAILED"
    """The update failed, with a reason; the old version runs."""

    @property
    def is_final(self) -> bool:
        """Whether no other state can follow."""
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
    """The next step of an unfinished update; it is stored on disk before it is taken."""

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
    """A bug: an update was moved to a state that must not follow its current one."""

    def __init__(self, before: State, after: State) -> None:
        """Build the message from both states and the allowed ones."""
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
        super().__init__(f"{before} → {after}: after {before} may come {allowed}")


def check_transition(before: State, after: State) -> None:
    """Check that ``after`` may follow ``before``; raises IllegalTransitionError."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(before, after)


def mermaid() -> str:
    """Render the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.CREATED}"]
    for before, followers in TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in State if after in followers]
        lines += [f"    {before} --> [*]"] * (not followers)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(mermaid() + "\n")
