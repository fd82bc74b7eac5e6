"""Which device has which faults now; a fault ends by itself, and all end with the cloud. No I/O.

`Board.set` and `Board.clear` are the switches that commands, the page and the advisor use; whoever carries faults
out (`staging.bench.lines`, `staging.bench.packages`) asks `active` each time, and is told of changes by `watch`.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from staging.bench.faults import SECONDS, Fault, Where, kind_of
from staging.errors import StagingError
from staging.times import Monotonic

# Devices that may have faults at a time: a bench, not a fleet.
DEVICES_LIMIT = 256

Changed = Callable[[str], None]
"""Is told the uuid of a device whose faults have changed."""


class BenchOffError(StagingError):
    """This cloud makes no faults."""

    def __init__(self) -> None:
        """Say how to get one that does."""
        super().__init__(
            "this cloud makes no faults: start it with story-cloud serve --bench-faults"
        )


class Board:
    """The faults of all devices."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        """Start without faults; ``monotonic`` is the clock by which they end, in seconds."""
        self.monotonic = monotonic
        self._faults: dict[str, dict[str, Fault]] = defaultdict(dict)
        self._numbers = itertools.count(1)
        self._watchers: list[Changed] = []

    def watch(self, watcher: Changed) -> None:
        """Call ``watcher(uuid)`` after each change of a device's faults; it must not block."""
        self._watchers.append(watcher)

    def set(self, uuid: str, name: str, values: Mapping[str, object] | None = None) -> Fault:
        """Give a device a fault, in place of an earlier one of this name; returns it with all its values.

        A fault that happens once (`Kind.is_lasting` is false) is only parsed: who asked carries it out.

        Args:
            uuid: the device, in lower case.
            name: a name of `staging.bench.faults.KINDS`.
            values: values by name, numbers or text; what is missing has its default.

        Raises:
            FieldError: there is no such fault, or a value does not fit.
            StagingError: too many devices have faults.
        """
        kind = kind_of(name)
        parsed = kind.parse(values or {})
        until = self.monotonic() + float(parsed.get(SECONDS.name, 0))
        fault = Fault(kind, parsed, until, next(self._numbers))
        if not kind.is_lasting:
            return fault
        if uuid not in self._faults and len(self._faults) >= DEVICES_LIMIT:
            raise StagingError(f"{DEVICES_LIMIT} devices have faults already")
        self._faults[uuid][name] = fault
        self._tell(uuid)
        return fault

    def clear(self, uuid: str, name: str | None = None) -> list[Fault]:
        """End a device's fault, or all of them; returns those that it had."""
        found = self._faults.get(uuid, {})
        names = list(found) if name is None else [kind_of(name).name]
        ended = [found.pop(each) for each in names if each in found]
        if not found:
            self._faults.pop(uuid, None)
        if ended:
            self._tell(uuid)
        return ended

    def active(self, uuid: str) -> Mapping[str, Fault]:
        """Return the faults that a device has now, by name."""
        found = self._faults.get(uuid)
        if not found:
            return {}
        now = self.monotonic()
        return {name: fault for name, fault in found.items() if fault.until > now}

    def of(self, uuid: str, where: Where) -> Mapping[str, Fault]:
        """Return those of a device's faults that are in ``where``."""
        return {n: fault for n, fault in self.active(uuid).items() if fault.kind.where is where}

    @property
    def devices(self) -> list[str]:
        """The devices that have faults."""
        return [uuid for uuid in self._faults if self.active(uuid)]

    def expire(self) -> list[tuple[str, Fault]]:
        """Take out the faults whose time is over; returns them with their devices."""
        now = self.monotonic()
        over = [
            (uuid, fault)
            for uuid, found in self._faults.items()
            for fault in found.values()
            if fault.until <= now
        ]
        for uuid, fault in over:
            self._faults[uuid].pop(fault.name, None)
            if not self._faults[uuid]:
                del self._faults[uuid]
        for uuid in dict.fromkeys(uuid for uuid, _ in over):
            self._tell(uuid)
        return over

    def to_json(self, uuid: str) -> list[dict[str, object]]:
        """Return a device's faults as commands and the page see them."""
        now = self.monotonic()
        return [fault.to_json(now) for fault in self.active(uuid).values()]

    def _tell(self, uuid: str) -> None:
        for watcher in self._watchers:
            watcher(uuid)
