"""Carries the faults of links out: all connections of devices on one listener of the bench.

The cloud knows whose a connection is when its device registers. A new connection from an address from which a single
device has come is taken for that device's from its first byte, so that a fault acts on the handshake too.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

from staging.bench.board import Board
from staging.bench.faults import BOTH, Fault, Where
from staging.bench.line import LINE, Line
from staging.bench.shape import Shape, Way, shape_of
from transport.connection import Connection

# Addresses whose devices are remembered.
ADDRESSES_LIMIT = 1024


class Lines:
    """The connections of a bench."""

    def __init__(self, board: Board) -> None:
        """Do what ``board`` says, and follow its changes."""
        self._board = board
        self._lines: set[Line] = set()
        self._known: OrderedDict[str, set[str]] = OrderedDict()
        self._done: dict[str, int] = {}
        board.watch(self._changed)

    def dress(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Return the transport to use in place of a new connection's plain one."""
        line = Line(transport, self._lines.discard)
        self._lines.add(line)
        uuids = self._known.get(line.address, set())
        if len(uuids) == 1:
            line.uuid = next(iter(uuids))
            self._act(line, line.uuid)
        return line

    def claim(self, uuid: str, connection: Connection) -> None:
        """Take note that a connection is a device's; its faults act from now on."""
        line = connection.get_extra_info(LINE)
        if isinstance(line, Line):
            self.claim_line(uuid, line)

    def claim_line(self, uuid: str, line: Line) -> None:
        """As `claim`, of a connection that is no `Connection`."""
        self._remember(line.address, uuid)
        line.uuid = uuid
        self._act(line, uuid)

    def address_of(self, uuid: str) -> str:
        """Return the address from which a device is connected, or was last; "": none is known."""
        found = [line.address for line in self._lines if line.uuid == uuid]
        known = [address for address, uuids in self._known.items() if uuid in uuids]
        return next(iter([*found, *reversed(known)]), "")

    def at(self, address: str) -> list[str]:
        """Return the devices that came from an address."""
        return sorted(self._known.get(address, ()))

    def close(self) -> None:
        """Reset every connection, those in a black hole too."""
        for line in list(self._lines):
            line.cut()

    def _remember(self, address: str, uuid: str) -> None:
        self._known.setdefault(address, set()).add(uuid)
        self._known.move_to_end(address)
        while len(self._known) > ADDRESSES_LIMIT:
            self._known.popitem(last=False)

    def _changed(self, uuid: str) -> None:
        for line in list(self._lines):
            if line.uuid == uuid:
                self._act(line, uuid)

    def _act(self, line: Line, uuid: str) -> None:
        """Do to a line what its device's faults say now."""
        faults = self._board.of(uuid, Where.LINK)
        if "cut" in faults:
            line.cut()
            return
        self._act_once(line, uuid, faults)
        shapes: Mapping[Way, Shape] = {way: shape_of(faults, way) for way in Way}
        line.change(shapes.__getitem__)

    def _act_once(self, line: Line, uuid: str, faults: Mapping[str, Fault]) -> None:
        """Count towards a cut in the middle, which one connection has, once."""
        fault = faults.get("cut_after")
        if fault is None or self._done.get(uuid) == fault.number:
            return
        self._done[uuid] = fault.number
        way = fault.values["way"]
        line.cut_after(fault.number_of("bytes"), tuple(Way) if way == BOTH else (Way(str(way)),))
