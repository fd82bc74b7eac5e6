"""The short form of tools/kill_proof.py: real processes, kill -9, and the state afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from tools.kill_proof.__main__ import Limits, prove
from tools.kill_proof.device import Device
from tools.kill_proof.images import missing_programs
from tools.kill_proof.proof import Proof, Result

ROOT = Path(__file__).parents[2]


needs_rauc = pytest.mark.skipif(
    bool(missing_programs()),
    reason=f"a machine with RAUC needs {missing_programs()}; see `make setup`",
)


@pytest.mark.long
@pytest.mark.parametrize("installer", ["slots", pytest.param("rauc", marks=needs_rauc)])
@pytest.mark.timeout(300)
def test_killed_at_random_moments_an_update_ends_old_or_new_with_one_report(
    installer: str,
) -> None:
    command = [sys.executable, "-m", "tools.kill_proof", "--installer", installer]
    command += ["--kills", "1", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout.splitlines()[-1]


class Updates:
    """A proof whose updates take no time; each has two kills, and the sixth stops all."""

    took = 1.0

    def __init__(self, limits: Limits, faults: Sequence[str] = ()) -> None:
        self.begun, self._limits, self._faults = 0, limits, faults

    def measure(self, _device: object) -> Result:
        return Result("SUCCESS", faults=list(self._faults))

    def update(self, _device: object, _chance: object) -> Result:
        self.begun += 1
        if self.begun == 6:
            self._limits.stop()
        return Result("SUCCESS", kills=Counter({"agent at fetch": 2}))


@pytest.mark.parametrize(
    ("limits", "updates"),
    [(Limits(kills=3), 2), (Limits(updates=4), 4), (Limits(at=0.0), 0), (Limits(), 6)],
)
def test_updates_end_at_a_limit_or_when_told_and_what_was_run_counts(
    limits: Limits, updates: int
) -> None:
    proof = cast("Proof", Updates(limits))
    tally = prove(proof, [cast("Device", None)], limits, 1)
    assert (tally.ends.total(), tally.kills.total()) == (updates, 2 * updates)


def test_nothing_is_killed_if_an_update_without_a_kill_has_a_fault() -> None:
    limits = Limits(updates=4)
    proof = Updates(limits, ["no end"])
    tally = prove(cast("Proof", proof), [cast("Device", None)], limits, 1)
    assert (proof.begun, tally.faults) == (0, ["no end"])
