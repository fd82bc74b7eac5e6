"""The health check that a new version must pass before it replaces the old one.

It has four parts: registration with the cloud; the self-description served on the agent's socket; a
chime through the audio path; the machine's own checks. They run one after the other, each until it
passes. The updater sets the deadline; `Health.missing` is the part that has not passed yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from agent.settings import HealthSettings, SoundCheck
from agent.updates.checks import CheckFolder
from base.backoff import Backoff
from base.files import write_atomically
from machine.chime import SoundProof
from wire.datapoints import parse_self_description
from wire.errors import WireError
from wire.fields import parse_object

# Seconds. Just after boot a check may need a moment; the growing wait keeps the chime rare.
RETRY_FIRST, RETRY_MAX = 1.0, 15.0
# The name of the check that needs the cloud.
REGISTRATION = "registration"

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Returns the reason for a failure, None if the check passes."""
Chime = Callable[[int], Awaitable[SoundProof]]


class Health:
    """Runs checks in order; ``missing`` is the one that has not passed yet, with its reason."""

    def __init__(self, checks: Sequence[tuple[str, Check]]) -> None:
        """Take ``checks`` in order, each with its name."""
        self._checks = checks
        self._under_way = ""
        self.missing = "nothing was checked yet"

    @property
    def lacks_cloud(self) -> bool:
        """Whether the check that has not passed yet is the cloud's, which may be out for every version."""
        return self._under_way == REGISTRATION

    async def wait_until_passed(self) -> None:
        """Retry each check until it passes; return after the last. The caller sets the deadline."""
        for name, check in self._checks:
            self._under_way, self.missing = name, f"{name}: not known yet"
            # Without jitter: no other machine waits for what this one checks.
            backoff = Backoff(RETRY_MAX, first=RETRY_FIRST, jitter=0.0)
            while (reason := await _ask(check)) is not None:
                if self.missing != f"{name}: {reason}":
                    self.missing = f"{name}: {reason}"
                    _log.warning("health check not passed yet: %s", self.missing)
                await asyncio.sleep(backoff.next())
            _log.info("health check passed: %s", name)
        self._under_way = self.missing = ""


async def _ask(check: Check) -> str | None:
    try:
        return await check()
    except Exception as error:  # noqa: BLE001  # a wrong library version may raise anything
        return f"{type(error).__name__}: {error}"


def build_health(
    settings: HealthSettings,
    state: Path,
    registered: asyncio.Event,
    socket_path: Path,
    chime: Chime,
) -> Health:
    """Return the health check of a new version.

    Args:
        settings: the operator's settings.
        state: the agent's STATE folder, where `note_sound` stored the old version's result.
        registered: set once the cloud has accepted this version.
        socket_path: the socket of the agent's local API.
        chime: plays the chime at a volume in percent.
    """

    async def is_registered() -> None:
        await registered.wait()

    async def is_served() -> str | None:
        return await asyncio.to_thread(_find_serving_fault, socket_path)

    async def is_heard() -> str | None:
        needed = await asyncio.to_thread(sound_needed, settings.sound, state)
        return find_sound_fault(await chime(settings.chime_volume), needed=needed)

    checks: list[tuple[str, Check]] = [
        (REGISTRATION, is_registered),
        ("self-description", is_served),
    ]
    if settings.sound is not SoundCheck.OFF:
        checks.append(("sound", is_heard))
    own = CheckFolder(state / settings.checks_folder, settings.check_timeout_seconds)
    return Health([*checks, ("checks", own.run)])


def _find_serving_fault(socket_path: Path) -> str | None:
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415  # only in a trial

    try:
        answer = LocalClient(socket_path).request("GET", "/resource")
        if answer.status == 200 and parse_self_description(answer.body)["resources"]:
            return None
    except (AgentUnreachableError, WireError) as error:
        return str(error)
    return f"GET /resource is answered {answer.status}, expected 200 and data points"


def find_sound_fault(proof: SoundProof, *, needed: bool) -> str | None:
    """Return why a chime fails the check, None if it passes.

    Args:
        proof: the result of the chime.
        needed: whether a sound device must have played it. If not, a machine without a device
            passes, but one whose sound does not advance fails.
    """
    if proof.is_heard:
        return None
    if not needed and (proof.fault is None or proof.output is None):
        return None
    return proof.fault or "there is no sound device, and there was one before"


def sound_needed(wanted: SoundCheck, state: Path) -> bool:
    """Return whether a device must play the chime: if set so, or if the old version's was heard."""
    if wanted is not SoundCheck.AUTO:
        return wanted is SoundCheck.DEVICE
    try:
        return parse_object(_note(state).read_bytes(), "sound.json").get("heard") is True
    except (OSError, WireError):
        return False  # no note from the old version: require less


def note_sound(state: Path, proof: SoundProof) -> None:
    """Store for the next version whether a device played this one's chime; raises OSError."""
    note = {"heard": proof.is_heard, "output": proof.output, "fault": proof.fault}
    write_atomically(_note(state), json.dumps(note).encode())


def forget_sound(state: Path) -> None:
    """Remove the note of an earlier version; raises OSError."""
    _note(state).unlink(missing_ok=True)


def _note(state: Path) -> Path:
    return state / "ota" / "sound.json"
