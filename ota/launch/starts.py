"""STATE/slots/starts.json: how often the active release has died soon after its start, in this boot.

STATE/ota/starts.json is the same of an image, which has no launcher (`agent.updates.leaving`).

A confirmed release may be damaged later: a worn card, a dependency of another version, a day from which it
crashes. Its starts are counted after the trial too, so that the launcher can leave it for the one before. A
death counts if it came within `EARLY_SECONDS` of the start, in the same boot of the machine: a child that
pulls the plug again and again kills nothing. A release that ends on purpose (a stop, a restart for an
update, settings that it refuses) forgets the count. Standard library only, as `ota.launch.launch`.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from base.files import read_record

# Seconds that a release lives which is not damaged: longer than a slow start, a registration and a first story.
EARLY_SECONDS = 300.0
# Early deaths in a row after which a release is left: fewer than a minute's restarts, more than bad luck.
EARLY_DEATHS = 5
# Bytes of the file, which has some hundred.
_SIZE_MAX = 4096
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Starts:
    """The last start of a release.

    Attributes:
        version: the release.
        boot: the kernel's id of the machine's boot.
        begun: when it was started, in seconds of that boot.
        early: how many starts in a row before it ended early.
    """

    version: str
    boot: str
    begun: float
    early: int = 0

    def again(self, last: Starts | None) -> Starts:
        """Return this start with the early deaths before it; ``last``: the start before, if any is known."""
        if last is None or (last.version, last.boot) != (self.version, self.boot):
            return self
        lived = self.begun - last.begun
        early = last.early + 1 if 0 <= lived < EARLY_SECONDS else 0
        return Starts(self.version, self.boot, self.begun, early)


def starts_path(state_dir: Path) -> Path:
    """Return the path of starts.json."""
    return state_dir / "slots" / "starts.json"


def image_starts_path(state_dir: Path) -> Path:
    """Return the path of the count of an image's starts."""
    return state_dir / "ota" / "starts.json"


Place = Callable[[Path], Path]
"""Returns the path of a count below the agent's STATE folder."""


def start_now(state_dir: Path, version: str, place: Place = starts_path) -> Starts:
    """Return a start of ``version`` now, with the early deaths before it; nothing is stored."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Starts(version, _read_boot_id(), now).again(_read(place(state_dir)))


def note(state_dir: Path, starts: Starts, place: Place = starts_path) -> None:
    """Store a start; a disk that does not take it is no reason not to start.

    Not synced: what counts is the same boot, and each start would wait for the card.
    """
    path = place(state_dir)
    temp = path.with_name(f".{path.name}.tmp")
    for _again in range(2):
        _remove_odd(temp)  # a pipe in its place would hold the start up for ever
        try:
            temp.write_text(json.dumps(asdict(starts)), "utf-8")
            temp.replace(path)
        except OSError:
            _remove_odd(path)
        else:
            return


def forget(state_dir: Path, *places: Place) -> None:
    """Forget the start: this process ends on purpose, or by a fault that another version has too.

    ``places``: of these counts; none given: of both.
    """
    for place in places or (starts_path, image_starts_path):
        path = place(state_dir)
        _remove_odd(path)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_odd(path: Path) -> None:
    """Remove what damage has made of a file: a folder would keep every start from being counted.

    Nothing is raised: a card that does not even tell what is there is no reason not to start.
    """
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            import shutil  # noqa: PLC0415  # each start would pay for it

            shutil.rmtree(path, ignore_errors=True)
        elif path.exists() and not path.is_file():
            path.unlink(missing_ok=True)


def _read(path: Path) -> Starts | None:
    """Return the last start; None if there is none that can be read, or one that no launcher has written.

    A damaged number must not leave a good release: more early deaths than leave one are none.
    """
    try:
        source = json.loads(read_record(path, _SIZE_MAX))
        found = Starts(
            str(source["version"]),
            str(source["boot"]),
            float(source["begun"]),
            int(source["early"]),
        )
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    return found if math.isfinite(found.begun) and 0 <= found.early < EARLY_DEATHS else None


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
