"""Makes this process a simulation: import it, and `install`, before anything of the product's.

Clock, files, threads, sockets and chance are replaced once; each seed then begins with its own.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

from tools.sim import calls as files
from tools.sim import sockets, threads, tls_socket
from tools.sim.calls import Calls
from tools.sim.clock import Clock
from tools.sim.sqlite_disk import SqliteDisk

_Random = random.Random


class Chance(_Random):
    """A generator that is seeded by the simulation where the product leaves it to the system."""

    source = _Random(0)  # a simulation
    number = 0
    # Those that modules made at their import, by name: whether that was before this seed or in it may not matter.
    of_modules: ClassVar[dict[str, Chance]] = {}

    def __init__(self, seed: Any = None) -> None:
        """Take ``seed``, or the next of the simulation."""
        maker = sys._getframe(1)  # noqa: SLF001  # who makes it
        if seed is None and maker.f_code.co_name == "<module>":
            name = f"{maker.f_globals['__name__']} {len(Chance.of_modules)}"
            Chance.of_modules[name] = self
            seed = f"{Chance.number} {name.partition(' ')[0]}"
        super().__init__(Chance.source.getrandbits(64) if seed is None else seed)

    def seed(self, a: Any = None, version: int = 2) -> None:
        """As random.Random.seed."""
        super().seed(Chance.source.getrandbits(64) if a is None else a, version)

    @classmethod
    def begin(cls, number: int) -> None:
        """Give all that are left by others the chance of a new seed."""
        cls.number, cls.source = number, _Random(number)  # a simulation
        for name, chance in cls.of_modules.items():
            chance.seed(f"{number} {name.partition(' ')[0]}")


@dataclass(slots=True)
class Env:
    """What was installed."""

    clock: Clock
    calls: Calls
    sqlite: SqliteDisk

    def seed(self, seed: int) -> None:
        """Begin anew with the chance of ``seed``."""
        self.clock.reset()
        Chance.begin(seed)
        random.seed(seed)
        self.sqlite.rng = _Random(seed + 1)  # a simulation
        self.calls.mounts.clear()


def install() -> Env:
    """Replace what the product asks the system for; raises RuntimeError if its modules are there already."""
    early = [name for name in ("base.clock", "agent.app", "transport.dial") if name in sys.modules]
    if early:
        raise RuntimeError(f"{early[0]} was imported before the simulation was installed")
    clock = Clock()
    clock.install()
    threads.install()
    calls = files.install()
    sockets.install()
    tls_socket.install()
    _install_chance()
    programs: Any = shutil
    programs.which = lambda *_, **__: None  # there are none
    return Env(clock, calls, SqliteDisk(calls, _Random(1)))  # a simulation


def _install_chance() -> None:
    def urandom(size: int) -> bytes:
        return Chance.source.randbytes(size)

    names: Any = random
    names.Random, names._urandom, os.urandom = Chance, urandom, urandom  # noqa: SLF001


def run_again_without_hash_seed() -> None:
    """Start this process again with an order of sets that is the same at each run."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606  # this very command
            sys.executable,
            [sys.executable, *sys.orig_argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"},
        )
