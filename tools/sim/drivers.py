"""What is put in the places of a machine's drivers, and of what its code asks the machine for: for all seeds of a process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agent.app
import agent.local.client
import agent.points
import base.local_time
from machine.folder_watch import FolderWatch, MountWatch
from machine.level import KeptLevel
from machine.network import NetworkInfo
from tools.sim import service
from tools.sim.board import SimMixer, SimPowerOff
from tools.sim.life import CURRENT
from tools.sim.machine import own
from wire.fields import dump_object


async def _find_mixer(on_change: Callable[[], None]) -> SimMixer:
    return SimMixer(own().sounds, on_change)


@dataclass
class _Answer:
    status: int = 200
    body: bytes = b""


@dataclass
class SimClient:
    """Asks the agent's own self-description, as its health check does over its Unix socket."""

    path: Path
    seconds: float = 10.0
    asked: list[str] = field(default_factory=list)

    def request(self, method: str, target: str, body: bytes = b"") -> _Answer:
        """Answer ``GET /resource``."""
        del method, target, body
        machine = own()
        dispatch = getattr(machine.agent, "_dispatch", None)
        if dispatch is None:
            return _Answer(503)
        return _Answer(200, dump_object(dispatch.describe()))


def bind_drivers() -> None:
    """Put the simulated board in the drivers' places, for the rest of the process."""
    names: Any = agent.points
    names.find_player = lambda _level, folder: own().make_player(folder)
    names.KeptLevel = functools.partial(KeptLevel, _find_mixer, lambda: "simulated")
    names.LogindPowerOff = lambda: SimPowerOff(own().switch_off)
    names.build_battery = lambda _settings: own().battery
    # Neither a clock with a battery nor a time service, whatever the machine has that this runs on.
    times: Any = base.local_time
    times.has_clock = times.is_synchronised = lambda: False
    app: Any = agent.app
    # An agent that has started turns the collector on, and keeps all that is there from it: of a process that runs
    # seeds that would be all of them.
    app.gc = SimpleNamespace(freeze=lambda: None, enable=lambda: None)
    app.read_network = lambda: NetworkInfo("WIFI", "02:00:00:00:00:01", "10.0.0.2")
    client: Any = agent.local.client
    client.LocalClient = SimClient
    service.bind_daemon(own)
    for kind in (FolderWatch, MountWatch):
        _note_watches(kind)


def _note_watches(kind: Any) -> None:
    """Note whose each is: a user has 128 of inotify's, and what is dead is collected only after the seed."""
    make = kind.__init__

    def noted(self: Any) -> None:
        make(self)
        life = CURRENT.get()
        if life is not None:
            life.watches.append(self)

    kind.__init__ = noted
