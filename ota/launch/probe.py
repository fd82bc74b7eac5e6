"""What a release that died says when its modules are imported: the traceback that no log has.

A release whose first module cannot be imported ends before it can store anything; its traceback went to the
journal, which nobody reads. The version that runs next asks it once more, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ota.launch.launch import base_command, release_environment

# All that a start imports; nothing is run. An empty module can be imported, and has no `main`.
_CODE = "import agent.cli, agent.daemon; agent.cli.main; agent.daemon.run_daemon"
# Seconds: an import takes a slow machine some of them.
PROBE_SECONDS = 60.0
LINES_MAX = 60


def examine(lib: Path, version: str) -> list[str]:
    """Return the last lines that a release writes when it is imported; [] if it can be imported.

    Args:
        lib: the release's import folder.
        version: its version.
    """
    executable, environment = base_command(os.environ)
    environment = release_environment(environment, version, lib)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # its folder is about to be removed
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter, no shell
            [executable, "-P", "-c", _CODE], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=PROBE_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"importing version {version} does not end within {PROBE_SECONDS:.0f} s"]
    except OSError as error:
        return [f"version {version} cannot be imported to see why: {error}"]
    if done.returncode == 0:
        return []
    text = done.stderr.decode("utf-8", "replace").strip()
    lines = text.splitlines()[-LINES_MAX:]
    return [f"importing version {version} ends with {done.returncode}:", *lines]
