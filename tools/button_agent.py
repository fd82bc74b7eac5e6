"""The agent with a talk button in place of the kernel's: ``button_agent.py PIPE run …`` (tools/voice_heard.py).

What is written into PIPE is what an input device gives; the device's name and keys, which are asked for by ioctl, are told
here. All else is the agent as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.cli import main
from machine.input_keys import GET_KEYS, GET_NAME, InputSource

TALK = 582  # KEY_VOICECOMMAND
NAME = b"talk button"


def tell(_device: int, request: int, data: bytearray) -> None:
    """Answer what is asked of the device."""
    if request == GET_NAME:
        data[: len(NAME)] = NAME
    elif request == GET_KEYS:
        data[TALK // 8] |= 1 << TALK % 8


if __name__ == "__main__":
    pipe = Path(sys.argv.pop(1))
    defaults = InputSource.__init__.__kwdefaults__ or {}
    defaults.update(folder=pipe.parent, control=tell)
    sys.exit(main())
