"""Starting what is active: the base install hands over to a release, and a release back to the base.

``story-agent run`` calls `enter_active_release` before it imports anything heavy, so this module
stays with the standard library. A version on trial has its start counted on disk before it runs:
one that never confirms itself is given up after `TRIAL_ATTEMPTS` starts, however it dies.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from ota.launch import boot
from ota.launch.boot import BootRecord, BootRecordError

# Starts that a version on trial gets. One may be lost to a power cut during the first start and one
# to a slow network; a third without a confirmation is the version's own fault.
TRIAL_ATTEMPTS = 3
ENV_SLOT = "STORY_AGENT_SLOT"
ENV_BASE = "STORY_AGENT_BASE"
ENTRY = ("-P", "-m", "agent.cli")
# How an installed distribution's folder is called, with its version between; see `ota.launch.running`.
DIST_PREFIX, DIST_SUFFIX = "story_agent-", ".dist-info"


@dataclass(frozen=True, slots=True)
class LaunchDecision:
    """What to start.

    Attributes:
        version: the release to run; None is the base install, that is, who asks.
        lib: the release's import folder.
        record: boot.json as it must be on disk before ``version`` starts.
        note: what a person should know, or None.
    """

    version: str | None
    lib: Path | None
    record: BootRecord
    note: str | None = None


def decide(
    record: BootRecord, find_lib: Callable[[str], Path | None], base: str | None = None
) -> LaunchDecision:
    """Choose what to run.

    Args:
        record: boot.json.
        find_lib: returns a release's import folder, None when it is not there.
        base: the base install's version, None when it is not known.
    """
    note = None
    newest = None  # of several given up at once, the newest is the one that an update asks about
    while record.active is not None:
        if record.is_displaced_by(base):
            newer = (
                f"the base install {base} came after release {record.active} and is newer: it runs"
            )
            note = newer if note is None else f"{note}; {newer}"
            return LaunchDecision(None, None, record.displaced(base), note)
        lib = find_lib(record.active)
        reason = _why_not(record, lib)
        if reason is None:
            return LaunchDecision(record.active, lib, record.attempted(base), note)
        note = f"release {record.active} is given up: {reason}"
        record = record.rolled_back(reason)
        newest = newest or record.last_rollback
        record = replace(record, last_rollback=newest)
    return LaunchDecision(None, None, record, note)


def _why_not(record: BootRecord, lib: Path | None) -> str | None:
    if lib is None:
        return "its folder is missing"
    if record.trial is not None and record.trial.attempts >= TRIAL_ATTEMPTS:
        return f"it was started {record.trial.attempts} times and never confirmed itself"
    return None


def base_version(folder: Path = Path(__file__).parents[2]) -> str | None:
    """Return the version of the package that is installed in ``folder``, None when that is not plain.

    By the folder's names: importlib.metadata would take longer to load than all of this module. A
    checkout has no such name, and no newer package ever replaces it.
    """
    found = folder.glob(f"{DIST_PREFIX}*{DIST_SUFFIX}")
    versions = [path.name.removeprefix(DIST_PREFIX).removesuffix(DIST_SUFFIX) for path in found]
    return versions[0] if len(versions) == 1 and boot.is_version(versions[0]) else None


def choose_release(
    state_dir: Path, find_base: Callable[[], str | None] = base_version
) -> LaunchDecision:
    """Read boot.json, decide, and bring the decision to disk; never raises for what the disk holds.

    When the record is damaged, or a trial's start cannot be counted, the base runs.
    """
    try:
        before = boot.load(state_dir)
    except (BootRecordError, OSError, UnicodeDecodeError) as error:
        return LaunchDecision(None, None, BootRecord(), f"{error}; the base install runs")
    base = None if before.active is None else find_base()
    decision = decide(before, lambda version: _find_lib(state_dir, version), base)
    try:
        if decision.record != before:
            boot.store(state_dir, decision.record)
        elif boot.slots_folder(state_dir).is_dir():
            boot.follow(state_dir, decision.record)
    except OSError as error:
        # An uncounted trial could be started for ever; a confirmed release needs no count.
        if decision.record.trial is not None:
            note = f"boot.json cannot be written ({error}); the base install runs"
            return LaunchDecision(None, None, before, note)
    return decision


def _find_lib(state_dir: Path, version: str) -> Path | None:
    folder = boot.release_folder(state_dir, version)
    there = (folder / "release.json").is_file() and (folder / "lib").is_dir()
    return folder.absolute() / "lib" if there else None


def enter_active_release(state_dir: Path, argv: Sequence[str]) -> None:
    """Become the active release, or return when this process is what must run.

    Args:
        state_dir: the agent's STATE folder.
        argv: the command line after the program's name, passed on as it is.
    """
    if os.environ.get(ENV_SLOT):  # we are the release
        return
    decision = choose_release(state_dir)
    if decision.note:
        _say(decision.note)
    if decision.version is None or decision.lib is None:
        return
    environment = release_environment(os.environ, decision.version, decision.lib)
    try:
        _exec([sys.executable, *ENTRY, *argv], environment)
    except OSError as error:
        _say(f"release {decision.version} cannot be started: {error}; the base install runs")


def release_environment(environment: Mapping[str, str], version: str, lib: Path) -> dict[str, str]:
    """Return the environment in which a release runs, and in which it finds its way back."""
    base = {"executable": sys.executable, "pythonpath": environment.get("PYTHONPATH")}
    return dict(environment) | {
        "PYTHONPATH": str(lib),
        ENV_SLOT: version,
        ENV_BASE: json.dumps(base),
    }


def base_command(environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the base install's interpreter and environment, as seen from the base or a release."""
    clean = {name: value for name, value in environment.items() if name not in {ENV_SLOT, ENV_BASE}}
    try:
        base = json.loads(environment[ENV_BASE])
        executable, path = str(base["executable"]), base["pythonpath"]
    except (KeyError, TypeError, ValueError):  # we are the base, or someone else set the variable
        return sys.executable, clean
    clean.pop("PYTHONPATH", None)
    return executable, clean if path is None else clean | {"PYTHONPATH": str(path)}


def restart(argv: Sequence[str]) -> NoReturn:
    """Start again from the base install, which then chooses what runs; raises OSError.

    Args:
        argv: the command line after the program's name.
    """
    executable, environment = base_command(os.environ)
    _exec([executable, *ENTRY, *argv], environment)


def _exec(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), dict(environment))  # noqa: S606  # our own interpreter, no shell


def _say(message: str) -> None:
    """Tell the journal: logging is not set up yet, nor loaded."""
    sys.stderr.write(f"story-agent: {message}\n")
