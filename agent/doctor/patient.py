"""The machine as the doctor looks at it: its files, its settings, and what a running agent says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from agent.first.profile_file import PROFILE_MAX
from agent.local.client import AgentUnreachableError, LocalClient
from agent.settings import Settings, SettingsError, load_settings
from agent.state import socket_to_ask
from base.files import read_record
from wire.profile import Profile, ProfileError, parse_profile
from wire.records import dataclass

# An agent answers in milliseconds.
STATUS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Patient:
    """What the checks look at.

    Attributes:
        state: the state folder.
        profile_path: the profile's file.
        config: the settings' file, None for none.
        settings: the settings, or the defaults if they cannot be read.
        settings_fault: why they cannot be read.
        profile: the profile, None if it cannot be read.
        profile_fault: why it cannot be read.
        status: what the running agent says, None if none runs or it does not answer.
        hangs: whether an agent runs that does not answer.
        denied: whether whoever asks may not ask the agent.
        environment: the variables of who asks.
    """

    state: Path
    profile_path: Path
    config: Path | None
    settings: Settings
    settings_fault: str | None = None
    profile: Profile | None = field(default=None, repr=False)
    profile_fault: str | None = None
    status: Mapping[str, object] | None = None
    hangs: bool = False
    denied: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def says(self, *names: str) -> object:
        """Return a member of the agent's status, None if there is none."""
        value: object = self.status
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def look_at(
    state: Path, profile_path: Path, config: Path | None, environment: Mapping[str, str]
) -> Patient:
    """Read the files and ask the agent; nothing is raised, faults are members."""
    settings, settings_fault = Settings(), None
    try:
        settings = load_settings(config)
    except SettingsError as error:
        settings_fault = str(error)
    profile, profile_fault = _read_profile(profile_path)
    status, hangs, denied = _ask(state)
    return Patient(
        state, profile_path, config, settings, settings_fault, profile, profile_fault,
        status, hangs, denied, environment,
    )  # fmt: skip


def _read_profile(path: Path) -> tuple[Profile | None, str | None]:
    try:
        return parse_profile(read_record(path, PROFILE_MAX)), None
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    except ProfileError as error:
        return None, f"{path}: {error}"


def _ask(state: Path) -> tuple[Mapping[str, object] | None, bool, bool]:
    """Return what the agent says, whether one is there that says nothing, and whether we may not ask it."""
    try:
        answer = LocalClient(socket_to_ask(state), STATUS_SECONDS).request("GET", "/status")
        status = json.loads(answer.body) if answer.status == 200 else None
    except AgentUnreachableError as error:
        absent = isinstance(error.__cause__, (FileNotFoundError, ConnectionRefusedError))
        denied = isinstance(error.__cause__, PermissionError)
        return None, not absent and not denied, denied
    except ValueError:
        return None, True, False
    return (status, False, False) if isinstance(status, dict) else (None, True, False)
