"""What a case works with: the device's present connection, the next one, and the record."""

from __future__ import annotations

import random
from collections.abc import Mapping

from staging.advise.bench import GOOD, AbsentError, Bench, Line, Manner
from staging.advise.framed import FramedPeer
from staging.advise.mqtt_peer import MqttPeer
from staging.advise.orders import Ordered
from staging.advise.peer import Peer, Policy
from staging.advise.record import Known, Trace
from staging.advise.releases import Releases

# Seconds until a device that lost its connection must be back: longer than the document's longest
# wait (8 s) and a minute of ours.
RETURN_SECONDS = 75.0

# Seconds of a wait after which it is worth it to let the device forget its waits, and how long that takes.
CALM_FROM_SECONDS, CALM_SECONDS = 8.0, 32.0


class Lab:
    """One device under test, and one case after the other."""

    def __init__(
        self, bench: Bench, known: Known, seed: int = 1, releases: Releases | None = None
    ) -> None:
        self.bench, self.known = bench, known
        self.releases = Releases() if releases is None else releases
        self.orders: list[Ordered] = []
        """Each order to update that was placed, in all cases."""
        self.heard = False
        """Whether somebody who spoke was heard, in any case."""
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311  # a case's choices, no secret
        self.trace = Trace()
        self._peer: Peer | None = None
        self._dropped: float | None = None
        self._patience = 0.0

    @property
    def is_mqtt(self) -> bool:
        """Whether the device is behind a broker."""
        return self.known.link == "mqtt"

    def begin(self, name: str = "") -> Trace:
        """Begin a case; return its record. Its choices are the same whatever was done before."""
        self.random = random.Random(f"{self.seed} {name}")  # noqa: S311  # no secret
        self.trace = Trace()
        if self._peer is not None and not self._peer.ended.is_set():
            self._peer.belong_to(self.trace)
        return self.trace

    @property
    def present(self) -> Peer | None:
        """The connection that is open, if one is."""
        return None if self._peer is None or self._peer.ended.is_set() else self._peer

    async def peer(self, within: float = RETURN_SECONDS) -> Peer:
        """Return a registered connection; raises AbsentError."""
        end = self.bench.now() + within
        while True:
            peer = self.present
            if peer is None:
                peer = await self.fresh(within=end - self.bench.now())
            if await peer.wait_registered(max(0.0, end - self.bench.now())):
                return peer
            if self.bench.now() >= end:
                raise AbsentError(f"not registered within {within:g} s")

    async def framed(self) -> FramedPeer:
        """Return a registered framed connection."""
        peer = await self.peer()
        assert isinstance(peer, FramedPeer)  # noqa: S101  # the runner leaves these cases out over MQTT
        return peer

    async def fresh(
        self,
        manner: Manner = GOOD,
        policy: Policy | None = None,
        within: float = RETURN_SECONDS,
        *,
        quiet: bool = False,
    ) -> Peer:
        """Return the device's next connection, not yet registered; the one before is forgotten.

        ``quiet``: without a word to the one before, which the device may still take for good.
        """
        await self.drop(quiet=quiet)
        line = await self.bench.accept(manner, within)
        if self._dropped is not None:
            self._patience = max(0.0, line.seen.opened - self._dropped)
        peer = self._open(line)
        if policy is not None:
            peer.policy = policy
        self._peer = peer
        peer.start()
        return peer

    def _open(self, line: Line) -> Peer:
        if self.is_mqtt:
            return MqttPeer(self.bench, line, self.known, self.trace)
        return FramedPeer(self.bench, line, self.known, self.trace)

    async def drop(self, *, quiet: bool = False) -> None:
        """End the present connection."""
        if self._peer is not None:
            self._dropped = self.bench.now()
            await (self._peer.forget() if quiet else self._peer.stop())
            self._peer = None

    async def calm(self) -> None:
        """Leave a device alone that waits longer with each cut, until it has forgotten its waits.

        Ours forgets them after half a minute; without this, each later cut would cost up to a minute.
        """
        peer = self.present
        if peer is None or self._patience < CALM_FROM_SECONDS:
            return
        self._patience = 0.0
        await peer.wait_ended(max(0.0, CALM_SECONDS - self._lived(peer)))

    def _lived(self, peer: Peer) -> float:
        return self.bench.now() - peer.line.seen.opened

    @property
    def restless(self) -> bool:
        """Whether a device would have to be left alone now, before it is cut off."""
        peer = self.present
        waits = peer is not None and self._patience >= CALM_FROM_SECONDS
        return waits and peer is not None and self._lived(peer) < CALM_SECONDS

    # The device's data points.

    @property
    def path(self) -> tuple[str, ...]:
        """Return the path of a data point that can be read without any effect."""
        for name in ("volume", "power"):
            if (point := self.point(name)) is not None:
                return path_of(point)
        readable = [point for point in self.known.points if "GET" in point.get("method", ())]
        return path_of(readable[0]) if readable else ("volume",)

    def point(self, name: str) -> dict[str, object] | None:
        """Return a data point's description."""
        return next((point for point in self.known.points if point.get("name") == name), None)


def path_of(point: Mapping[str, object]) -> tuple[str, ...]:
    """Return a data point's path."""
    uri = str(point.get("uri") or f"/{point.get('name')}")
    return tuple(part for part in uri.split("/") if part)
