"""What apps order of a device that two machines are (`tools.sim.twins`): it is done by one of them, in its time, or by none.

Each order has a value of its own, by which whoever does it is known.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.sim.open_api import Answer, order
from tools.sim.people import begin
from tools.sim.tokens import REFUSALS
from wire.codes import Code
from wire.exchange import Answer as MachinesAnswer
from wire.exchange import Request

if TYPE_CHECKING:
    from tools.sim.open_api import OpenApi
    from tools.sim.world import World

NAME = "volume"
# What was on its way as an app was told that nobody has answered.
ROUNDING_SECONDS = 1.0
# Seconds after the last fault at which one more is given: by then there are two for certain, and one of them is there.
AT_END_SECONDS = 480.0


@dataclass(slots=True)
class Given:
    """One order.

    Attributes:
        by: the machines that have done it, with the time of each.
        answered: when the app had its answer; None: it has none.
        is_done: whether that says that it is done.
    """

    by: list[tuple[str, float]] = field(default_factory=list)
    answered: float | None = None
    is_done: bool = False

    def fault(self, *, may_be_handed_on: bool = False) -> str | None:
        """Return what is wrong with it, None if nothing is; ``may_be_handed_on``: each of the two may have had it once."""
        most = len({who for who, _ in self.by}) if may_be_handed_on else 1
        if len(self.by) > most:
            return f"was done {len(self.by)} times: {', '.join(f'by {who} at {at:.1f} s' for who, at in self.by)}"
        if self.is_done and not self.by:
            return "was answered as done, and nobody has done it"
        if self.by and self.answered is not None and not self.is_done:
            late = self.by[0][1] - self.answered
            if late > ROUNDING_SECONDS:
                return f"was done {late:.1f} s after the app was told that it was not"
        return None


class TwinOrders:
    """Those of one world."""

    def __init__(self) -> None:
        """Have given none."""
        self._given: dict[str, Given] = {}
        self.is_by_broker = False
        """Whether a broker has one session for both: what one has done and not acknowledged as the other takes its place is handed over again."""
        self._found: list[str] = []

    def begin(self) -> str:
        """Return the value of another order."""
        value = str(len(self._given))
        self._given[value] = Given()
        return value

    async def carry_out(self, name: str, now: float, request: Request) -> MachinesAnswer:
        """Do what the machine ``name`` is asked for."""
        given = self._given.get(request.payload.decode("utf-8", "replace"))
        if request.method != "PUT" or request.path != (NAME,) or given is None:
            return MachinesAnswer(Code.NOT_FOUND)
        given.by.append((name, now))
        return MachinesAnswer(Code.CHANGED)

    def answered(self, value: str, now: float, answer: Answer | None) -> None:
        """Note what the app was answered."""
        given = self._given[value]
        given.answered, given.is_done = now, answer is not None and answer.is_done

    def must_be_done(self, value: str, answer: Answer | None) -> None:
        """Note what was answered to an order for which one of the two was there."""
        if answer is not None and answer.status not in REFUSALS and not answer.is_done:
            self._found.append(
                f"order {value} to a device that two machines are was answered {answer.status} {answer.told}".rstrip()
            )

    @property
    def broken(self) -> list[str]:
        """What may not be."""
        found = {
            value: given.fault(may_be_handed_on=self.is_by_broker)
            for value, given in self._given.items()
        }
        told = [
            f"order {value} to a device that two machines are {why}"
            for value, why in found.items()
            if why
        ]
        return [*self._found, *told]


def give(world: World, *, is_settled: bool = False) -> None:
    """Let an app order something of the two, if there are any; ``is_settled``: one of them is there, and does it."""
    api = world.cloud.some_api()
    if api is not None and world.twins.are_there:
        begin(world, _give(world, api, is_settled=is_settled), api)


async def _give(world: World, api: OpenApi, *, is_settled: bool) -> None:
    apps, orders, uuid = world.observer.apps, world.twins.orders, world.twins.uuid
    value, gateway = orders.begin(), world.cloud.gateway
    is_there = is_settled and gateway is not None and gateway.is_online(uuid)
    moves = world.twins.moves

    world.observer.count("orders to two with one identity")
    if apps.tokens.is_refused:
        await apps.tokens.renew(api)
    answer = await apps.ask(api, order(apps.tokens.key, uuid, NAME, value))
    orders.answered(value, world.loop.time(), answer)
    if orders.is_by_broker and world.twins.moves != moves:
        return  # its answer is lost as the other one takes the place at the broker
    if is_there and gateway is world.cloud.gateway:
        orders.must_be_done(value, answer)


def give_at_end(world: World) -> None:
    """Let an app order something once all faults are over for long."""
    world.later(AT_END_SECONDS, functools.partial(give, world, is_settled=True))


def twin_order(world: World, _chance: float) -> None:
    """Let an app order something of a device that two machines are."""
    give(world)


HAPPENINGS = {"twin order": twin_order}
