"""What lintian says of a package: no error and no warning but what its overrides give reasons for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deb.machine import ProofError

# The cloud's package has some thousand files.
LINT_SECONDS = 900


def lint(deb: Path) -> str:
    """Have lintian look at a package; raises ProofError."""
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"]
    done = subprocess.run(
        [*command, str(deb)], check=False, capture_output=True, text=True, timeout=LINT_SECONDS
    )
    if done.returncode:
        raise ProofError(f"lintian {deb.name}: {(done.stdout + done.stderr)[-3000:]}")
    return "nothing but what its overrides give reasons for"
