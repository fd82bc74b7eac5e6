"""The short form of tools/kill_proof.py: real processes, kill -9, and what is left afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_killed_at_random_moments_an_update_ends_old_or_new_with_one_report() -> None:
    command = [sys.executable, "-m", "tools.kill_proof", "--kills", "8", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout.splitlines()[-1]
