"""The short form of tools/kill_proof.py: real processes, kill -9, and the state afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.kill_proof.images import missing_programs

ROOT = Path(__file__).parents[2]


needs_rauc = pytest.mark.skipif(
    bool(missing_programs()), reason=f"a machine with RAUC needs {missing_programs()}"
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
