"""Start the active version: the base install executes a release, and a release returns to the base.

``story-agent run`` calls `enter_active_release` before it imports anything heavy, so this module
uses only the standard library. Each start of a version on trial is counted on disk before it runs:
a version that is never confirmed is rolled back after `TRIAL_ATTEMPTS` starts, however it dies. One that
was confirmed is left after several early deaths in a row (`ota.launch.starts`), and at the first of them if
its files are not those of its package.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Protocol

from ota.launch import boot, starts
from ota.launch.boot import BootRecord, BootRecordError
from ota.launch.starts import EARLY_DEATHS, EARLY_SECONDS, Starts

# Starts that a version on trial gets. One may fail through a power cut and one through a slow
# network; a third without a confirmation is the version's own fault.
TRIAL_ATTEMPTS = 3
ENV_SLOT = "STORY_AGENT_SLOT"
ENV_BASE = "STORY_AGENT_BASE"
ENTRY = ("-P", "-m", "agent.cli")
# The name of an installed distribution's folder, around its version; see `ota.launch.running`.
DIST_PREFIX, DIST_SUFFIX = "story_agent-", ".dist-info"


@dataclass(frozen=True, slots=True)
class LaunchDecision:
    """What to start.

    Attributes:
        version: the release to run; None: the base install, which is the calling process.
        lib: the release's import folder.
        record: boot.json as it must be on disk before ``version`` starts.
        note: a message for the journal, or None.
    """

    version: str | None
    lib: Path | None
    record: BootRecord
    note: str | None = None


def _no_fault(version: str, *, doubted: bool) -> str | None:  # noqa: ARG001  # a default for tables
    return None


class FindFault(Protocol):
    """Compares a release's files with what was signed."""

    def __call__(self, version: str, *, doubted: bool) -> str | None:
        """Return why the release must not start, or None; ``doubted``: there is a reason to look closely."""


def decide(
    record: BootRecord,
    find_lib: Callable[[str], Path | None],
    base: str | None = None,
    find_fault: FindFault = _no_fault,
    early: int = 0,
) -> LaunchDecision:
    """Choose what to run.

    Args:
        record: boot.json.
        find_lib: returns a release's import folder, or None if it is missing.
        base: the base install's version; None: unknown.
        find_fault: compares a release that is there with what was signed.
        early: how often in a row the active release died soon after its start.
    """
    note = None
    newest = None  # if several are rolled back at once, the last update concerns the newest one
    while record.active is not None:
        if record.is_displaced_by(base):
            newer = (
                f"the base install {base} came after release {record.active} and is newer: it runs"
            )
            note = newer if note is None else f"{note}; {newer}"
            return LaunchDecision(None, None, record.displaced(base), note)
        lib, damage = _locate(find_lib, record.active)
        if lib is not None:
            damage = find_fault(record.active, doubted=newest is not None or early > 0)
        reason = damage or _find_deaths(record, early if newest is None else 0)
        if reason is None:
            return LaunchDecision(record.active, lib, record.attempted(base), note)
        note = f"release {record.active} is given up: {reason}"
        record = record.rolled_back(reason, damaged=damage is not None)
        newest = newest or record.last_rollback
        record = replace(record, last_rollback=newest)
    return LaunchDecision(None, None, record, note)


def _locate(find_lib: Callable[[str], Path | None], version: str) -> tuple[Path | None, str | None]:
    """Return a release's import folder, or why there is none: a worn card's answer is damage too."""
    try:
        lib = find_lib(version)
    except OSError as error:
        return None, f"its folder cannot be read: {error.strerror}"
    return lib, "its folder is missing" if lib is None else None


def _find_deaths(record: BootRecord, early: int) -> str | None:
    """Return why a release is left that keeps dying, None while it may go on."""
    if record.trial is not None:
        attempts = record.trial.attempts
        used_up = attempts >= TRIAL_ATTEMPTS
        return f"it was started {attempts} times and never confirmed itself" if used_up else None
    if early >= EARLY_DEATHS:
        return f"it ended {early} times within {EARLY_SECONDS:.0f} s of its start"
    return None


def base_version(folder: Path = Path(__file__).parents[2]) -> str | None:
    """Return the version of the package installed in ``folder``; None if there is not exactly one.

    It is read from folder names: importlib.metadata would take longer to load than this whole
    module. A checkout has no such name, and no newer package ever replaces it.
    """
    found = folder.glob(f"{DIST_PREFIX}*{DIST_SUFFIX}")
    versions = [path.name.removeprefix(DIST_PREFIX).removesuffix(DIST_SUFFIX) for path in found]
    return versions[0] if len(versions) == 1 and boot.is_version(versions[0]) else None


def choose_release(
    state_dir: Path,
    find_base: Callable[[], str | None] = base_version,
    config: Path | None = None,
) -> LaunchDecision:
    """Read boot.json, decide, and store the decision; never raises for a bad record or disk.

    If the record is damaged, or a trial's start cannot be counted, the base install runs. Beside
    ``config``, the settings, may lie the root that a release must be signed by.
    """
    try:
        before = boot.load(state_dir)
    except (BootRecordError, OSError, UnicodeDecodeError) as error:
        return LaunchDecision(None, None, BootRecord(), f"{error}; the base install runs")
    base = None if before.active is None else find_base()
    start = None if before.active is None else starts.start_now(state_dir, before.active)
    decision = decide(
        before,
        lambda version: _find_lib(state_dir, version),
        base,
        lambda version, *, doubted: _find_damage(state_dir, version, config, doubted=doubted),
        0 if start is None else start.early,
    )
    return _stored(state_dir, before, decision, start)


def _stored(
    state_dir: Path, before: BootRecord, decision: LaunchDecision, start: Starts | None
) -> LaunchDecision:
    """Store a decision and the start that it leads to; return the one that can be carried out."""
    try:
        if decision.record != before:
            boot.store(state_dir, decision.record)
        elif boot.slots_folder(state_dir).is_dir():
            boot.follow(state_dir, decision.record)
    except OSError as error:
        # A trial that is not counted could be started forever; a confirmed release needs no count.
        if decision.record.trial is not None:
            note = f"boot.json cannot be written ({error}); the base install runs"
            return LaunchDecision(None, None, before, note)
    if decision.version is None:
        starts.forget(state_dir, starts.starts_path)
    elif start is not None and start.version == decision.version and _counts(decision.lib):
        starts.note(state_dir, start)
    elif _counts(decision.lib):
        starts.note(state_dir, starts.start_now(state_dir, decision.version))
    return decision


def _counts(lib: Path | None) -> bool:
    """Return whether a release forgets the count when it ends on purpose; those of before do not."""
    try:
        return lib is not None and (lib / "ota" / "launch" / "starts.py").is_file()
    except OSError:
        return False  # the disk is worn there; the release may run all the same


def _find_lib(state_dir: Path, version: str) -> Path | None:
    folder = boot.release_folder(state_dir, version)
    there = (folder / "release.json").is_file() and (folder / "lib").is_dir()
    return folder.absolute() / "lib" if there else None


def _find_damage(
    state_dir: Path, version: str, config: Path | None, *, doubted: bool
) -> str | None:
    """Return how a release differs from what was signed, None if it does not.

    Without a root beside the settings only a release that is ``doubted`` is looked at.
    """
    from ota.launch import signed  # noqa: PLC0415  # the base needs it not

    folder = boot.release_folder(state_dir, version)
    anchor = None if config is None else signed.find_anchor(config)
    if anchor is not None:
        return signed.find_fault(folder, version, anchor)
    return signed.find_damage(folder, version) if doubted else None


def enter_active_release(state_dir: Path, argv: Sequence[str], config: Path | None = None) -> None:
    """Execute the active release in this process; return if this process should run itself.

    Args:
        state_dir: the agent's STATE folder.
        argv: the command line after the program's name, passed on unchanged.
        config: the settings, beside which the machine's root may lie; None: nothing is checked.
    """
    if os.environ.get(ENV_SLOT):  # this process is the release
        return
    decision = choose_release(state_dir, config=config)
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
    """Return the environment for a release; it includes what `base_command` needs to return."""
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
    except (KeyError, TypeError, ValueError):  # this is the base, or the variable is not ours
        return sys.executable, clean
    clean.pop("PYTHONPATH", None)
    return executable, clean if path is None else clean | {"PYTHONPATH": str(path)}


def restart(argv: Sequence[str]) -> NoReturn:
    """Restart from the base install, which then chooses what runs; raises OSError.

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
    """Write to the journal through stderr: logging is not loaded yet."""
    sys.stderr.write(f"story-agent: {message}\n")
