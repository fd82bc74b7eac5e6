"""A device of the proof that was flashed with the version before: its launcher starts what this tree's package installs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.upgrade.house import BASE, ENTRY, RELEASE_FILE, environment_of, install_base, unpack
from tools.bench import Bench
from tools.kill_proof.device import NEW, OLD, SlotsDevice
from tools.processes import Service

if BASE != OLD:
    raise ImportError(f"the version before is {BASE}, and the proof's is {OLD}")


class BeforeDevice(SlotsDevice):
    """Its base is the released version before this one; the updater of then carries the update out."""

    def __init__(self, bench: Bench, number: int) -> None:
        """Set up the device and its base."""
        super().__init__(bench, number)
        unpacked = unpack(RELEASE_FILE, self.folder / "before")
        self._base = install_base(unpacked / "lib", self.folder / "site-packages", BASE)

    def start_agent(self) -> Service:
        """Start the base of before, which runs the active release."""
        return Service(
            sys.executable,
            [*ENTRY, *self.words],
            self.folder / "agent.log",
            environment_of(self._base),
        )

    @property
    def tells_its_version(self) -> bool:
        """False after a full disk: the outbox of then took nothing on one, and the agent did not say it again."""
        return not self.was_full

    def damage(self) -> str | None:
        """Damage nothing: the launcher of then does not look at a release's files."""
        return None

    def faults(self, *, succeeded: bool) -> dict[str, bool]:
        """Check what the launcher of then leaves: it keeps no signed package beside a release."""
        found = super().faults(succeeded=succeeded)
        lib = self.state / "slots" / "releases" / NEW / "lib"
        return {
            what: wrong for what, wrong in found.items() if not what.startswith("the release: ")
        } | {"the release has no code": succeeded and not _is_filled(lib)}


def _is_filled(lib: Path) -> bool:
    return any(path.stat().st_size for path in lib.glob("agent/*.py"))
