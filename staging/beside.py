"""What a cloud has beside its own work: the wire log, and on a bench the faults; how both meet gateway and broker."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from staging.bench.bench import Bench
from staging.bench.mqtt_front import MqttFront
from staging.bench.works import FaultWorks
from staging.diagnoses import Diagnoses
from staging.gateway.taps import Taps
from staging.store import Database
from staging.wirelog.log import WireLog
from staging.wirelog.mqtt_taps import MqttTap
from staging.wirelog.taps import WireTaps
from staging.wirelog.works import WireWorks
from transport.connection import Connection
from wire.fields import get_int, get_string

# Bytes of an archive in one answer of the command socket.
PIECE_BYTES = 96 * 1024

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


class Beside:
    """The wire log and the bench of one cloud."""

    def __init__(self, folder: Path, database: Database, *, bench_faults: bool) -> None:
        """Make them; ``bench_faults``: whether faults can be made on purpose."""
        self.wire = WireLog()
        self.bench = Bench(folder) if bench_faults else None
        self._database = database
        self._front: MqttFront | None = None

    def taps(self) -> Taps:
        """Return what looks at the gateway's connections and acts on them."""
        wire, bench = WireTaps(self.wire), self.bench
        taps = Taps(opened=wire.opened, claimed=wire.claimed, ended=wire.ended)
        if bench is not None:
            taps.dress, taps.told_time_ms = bench.lines.dress, bench.told_time_ms

            def claimed(uuid: str, connection: Connection) -> None:
                wire.claimed(uuid, connection)
                bench.lines.claim(uuid, connection)

            taps.claimed = claimed
        return taps

    def start_front(
        self, context: ssl.SSLContext, listener: socket.socket, port: int, ca: Path
    ) -> None:
        """Stand before the broker, whose ``port`` on loopback chains to ``ca``; on a bench alone."""
        if self.bench is not None:
            lines = self.bench.lines
            self._front = MqttFront(lines, context, port, ca, lambda peer: MqttTap(self.wire, peer))
            self._front.start(listener)

    def works(self, diagnoses: Diagnoses) -> tuple[Mapping[str, Work], Mapping[str, Work]]:
        """Return what commands may ask for: what is worth an entry of the audit log, and what is not."""
        faults = FaultWorks(self.bench, self._database)
        wire = WireWorks(self.wire, self._database)

        async def begin(wanted: Mapping[str, object]) -> Mapping[str, object]:
            return diagnoses.begin(get_string(wanted, "uuid").lower())

        async def look(wanted: Mapping[str, object]) -> Mapping[str, object]:
            return diagnoses.state(get_string(wanted, "uuid").lower())

        async def read(wanted: Mapping[str, object]) -> Mapping[str, object]:
            archive, at = (
                diagnoses.archive(get_string(wanted, "uuid").lower()),
                get_int(wanted, "at"),
            )
            return {"data": base64.b64encode(archive[at : at + PIECE_BYTES]).decode()}

        changes = {"device.diag": begin, **faults.changes, **wire.changes}
        return changes, {"diag.look": look, "diag.read": read, **faults.reads, **wire.reads}

    async def close(self) -> None:
        """End all faults, and let nobody wait any more."""
        self.wire.close()
        if self._front is not None:
            self._front.close()
        if self.bench is not None:
            await self.bench.close()
