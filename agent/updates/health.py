"""Whether a new version works: what it must show before the old one is let go of.

Registered with the cloud; its self-description served on the agent's own socket; a chime through
the audio path; the machine's own checks. They are asked one after the other, each until it holds.
Who sets the deadline is the updater; `Health.missing` tells it what was still to be shown.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from agent.local.client import AgentUnreachableError, LocalClient
from agent.settings import HealthSettings, SoundCheck
from agent.updates.checks import CheckFolder
from base.files import write_atomically
from machine.chime import SoundProof
from wire.datapoints import parse_self_description
from wire.errors import WireError
from wire.fields import parse_object

# A machine that has just booted may need a moment; a chime must not ring without end.
RETRY_FIRST, RETRY_MAX = 1.0, 15.0

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Returns why it does not hold, None when it does."""
Chime = Callable[[int], Awaitable[SoundProof]]


class Health:
    """Checks in their order, and what of them is still missing."""

    def __init__(self, checks: Sequence[tuple[str, Check]]) -> None:
        """Ask ``checks``, each with its name."""
        self._checks = checks
        self.missing = "nothing was checked yet"

    async def proven(self) -> None:
        """Return when every check has held once; the caller sets the deadline."""
        for name, check in self._checks:
            self.missing = f"{name}: not known yet"
            delay = RETRY_FIRST
            while (reason := await _ask(check)) is not None:
                if self.missing != f"{name}: {reason}":
                    self.missing = f"{name}: {reason}"
                    _log.warning("not proven yet: %s", self.missing)
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_MAX)
            _log.info("proven: %s", name)
        self.missing = ""


async def _ask(check: Check) -> str | None:
    try:
        return await check()
    except Exception as error:  # noqa: BLE001  # libraries that do not fit raise what they like
        return f"{type(error).__name__}: {error}"


def build_health(
    settings: HealthSettings,
    state: Path,
    registered: asyncio.Event,
    socket_path: Path,
    chime: Chime,
) -> Health:
    """Return what a new version of this machine must show.

    Args:
        settings: what the operator asks for.
        state: the agent's STATE folder, where `note_sound` left what the old version could do.
        registered: set once the cloud has accepted this version.
        socket_path: where the agent serves its own API.
        chime: plays the chime at a volume in percent.
    """

    async def is_registered() -> None:
        await registered.wait()

    async def is_served() -> str | None:
        return await asyncio.to_thread(_why_not_served, socket_path)

    async def is_heard() -> str | None:
        needed = await asyncio.to_thread(sound_needed, settings.sound, state)
        return why_not_heard(await chime(settings.chime_volume), needed=needed)

    checks: list[tuple[str, Check]] = [
        ("registration", is_registered),
        ("self-description", is_served),
    ]
    if settings.sound is not SoundCheck.OFF:
        checks.append(("sound", is_heard))
    own = CheckFolder(state / settings.checks_folder, settings.check_timeout_seconds)
    return Health([*checks, ("checks", own.run)])


def _why_not_served(socket_path: Path) -> str | None:
    try:
        answer = LocalClient(socket_path).request("GET", "/resource")
        if answer.status == 200 and parse_self_description(answer.body)["resources"]:
            return None
    except (AgentUnreachableError, WireError) as error:
        return str(error)
    return f"GET /resource is answered {answer.status}, expected 200 and data points"


def why_not_heard(proof: SoundProof, *, needed: bool) -> str | None:
    """Judge a chime.

    Args:
        proof: what became of the chime.
        needed: whether a sound device must have played it; where none is needed, a machine
            without one passes, and one whose sound stands still does not.
    """
    if proof.is_heard:
        return None
    if not needed and (proof.fault is None or proof.output is None):
        return None
    return proof.fault or "there is no sound device, and there was one before"


def sound_needed(wanted: SoundCheck, state: Path) -> bool:
    """Whether the chime must come out of a device: asked for, or the old version could do it."""
    if wanted is not SoundCheck.AUTO:
        return wanted is SoundCheck.DEVICE
    try:
        return parse_object(_note(state).read_bytes(), "sound.json").get("heard") is True
    except (OSError, WireError):
        return False  # the old version left no note, and less is asked


def note_sound(state: Path, proof: SoundProof) -> None:
    """Note for the next version whether this one can be heard; raises OSError."""
    note = {"heard": proof.is_heard, "output": proof.output, "fault": proof.fault}
    write_atomically(_note(state), json.dumps(note).encode())


def forget_sound(state: Path) -> None:
    """Remove the note that an earlier version left; raises OSError."""
    _note(state).unlink(missing_ok=True)


def _note(state: Path) -> Path:
    return state / "ota" / "sound.json"
