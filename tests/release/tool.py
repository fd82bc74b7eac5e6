"""``story-release`` as people run it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# The folders of a device, as the design names them.
PACKAGES = ("wire", "audio", "base", "transport", "machine", "resources", "ota", "agent")
BUILD = ("build", "--version", "1.1.0", "--source", "src", "--output")
FOLDERS = ("--repo", "repo", "--keys", "keys")


class Tool:
    """story-release in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "release.cli", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
        result: dict[str, Any] = json.loads(done.stdout)
        return result
