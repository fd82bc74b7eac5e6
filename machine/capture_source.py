"""Which source a sound server gives to a process that records, by pactl.

When a source goes away, PulseAudio moves its readers to another one and tells them nothing; that may be
the monitor of what the machine plays itself.
"""

from __future__ import annotations

import os
import re
import shutil

from machine.errors import UnavailableError
from machine.mpv_options import build_environment
from machine.programs import run_program

# pactl answers in about 10 ms; a frozen server never does.
PROGRAM_SECONDS = 1.0

_ENTRY = re.compile(r"^Source Output #", re.MULTILINE)
_SOURCE = re.compile(r"^\s*Source: (\d+)\s*$", re.MULTILINE)
_PROCESS = re.compile(r'^\s*application\.process\.id = "(\d+)"\s*$', re.MULTILINE)


def find_source(text: str, process: int) -> str:
    """Return the source of ``process`` in the output of ``pactl list source-outputs``, "" if none."""
    for entry in _ENTRY.split(text)[1:]:
        source, owner = _SOURCE.search(entry), _PROCESS.search(entry)
        if source and owner and int(owner[1]) == process:
            return f"source {source[1]}"
    return ""


async def read_source(process: int) -> str:
    """Return the source that the server gives to ``process``; "" if none or nobody can say."""
    program = shutil.which("pactl")
    if program is None:
        return ""
    command = [program, "list", "source-outputs"]
    try:
        output = await run_program(command, PROGRAM_SECONDS, build_environment(os.environ))
    except UnavailableError:
        return ""
    return find_source(output, process)
