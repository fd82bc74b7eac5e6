"""The player's unit in an emulated machine with the real systemd and mpv: `make test-cuts` runs it.

The machine checks itself (tests/vm/player_check.py) and says so on its console.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.vm.emulator import Emulator
from tests.vm.site import Site

DONE = "player check: done"
# Starting Debian takes the emulator a minute or two, with other load on the host several.
DEADLINE_SECONDS = 1500.0
LOOK_SECONDS = 2.0
_LINE = re.compile(r"player check: (.+): (ok|BAD.*?)\r?$", re.MULTILINE)


def check(images: Path, folder: Path) -> list[tuple[str, str]]:
    """Start a machine of ``images`` and return the lines of its check: what, and ``ok`` or ``BAD: why``.

    Raises:
        TimeoutError: it did not get to the end; the message has the end of its console.
    """
    site = Site(folder, images, "slots")
    ((_, state),) = site.open(1)
    machine = Emulator(folder / "machine", site.images, state, None)
    machine.start()
    try:
        end = time.monotonic() + DEADLINE_SECONDS
        while DONE not in machine.console():
            if time.monotonic() > end or machine.has_ended:
                raise TimeoutError(f"the check has not ended:\n{machine.console()[-3000:]}")
            time.sleep(LOOK_SECONDS)
        return _LINE.findall(machine.console())
    finally:
        machine.cut_power()
        site.bench.stop()


def main() -> int:
    """Print the lines as a table; return 1 if one is bad or there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="write the table here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = check(options.images, Path(folder))
    table = "\n".join(
        ["| check | result |", "|---|---|", *(f"| {what} | {how} |" for what, how in lines)]
    )
    print(table)
    if options.write:
        options.write.write_text(table + "\n")
    return 0 if lines and all(how == "ok" for _, how in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
