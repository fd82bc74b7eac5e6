"""When the simulation says that a machine and its cloud do not agree on the link."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tools.sim.link_look import LinkLook


class Link:
    """A machine's link, and what its cloud shows of that; a look is made each 15 s."""

    def __init__(self) -> None:
        self.registered, self.is_shown, self.now = asyncio.Event(), False, 0.0
        agent = SimpleNamespace(_link=SimpleNamespace(registered=self.registered))
        self.path = SimpleNamespace(up=True, proxied=False)
        world: Any = SimpleNamespace(
            machine=SimpleNamespace(name="m", agent=agent, life=object()),
            cloud=SimpleNamespace(gateway=SimpleNamespace(is_online=lambda _: self.is_shown)),
            net=SimpleNamespace(path=lambda _: self.path),
            loop=SimpleNamespace(time=lambda: self.now),
            broker=None,
        )
        self.watch = LinkLook(world)

    def come(self) -> None:
        """Be let in by the cloud."""
        self.watch.came += 1
        self.registered.set()
        self.is_shown = True

    def look(self) -> float | None:
        """Look, fifteen seconds after the last time."""
        self.now += 15.0
        return self.watch.look()


def test_a_machine_that_is_gone_and_still_shown_is_unlike_since_the_first_look_at_it() -> None:
    link = Link()
    link.come()
    assert link.look() is None
    link.registered.clear()
    assert [link.look() for _ in range(4)] == [30.0] * 4
    link.is_shown = False
    assert link.look() is None


def test_who_comes_and_goes_between_two_looks_is_to_be_noticed_anew() -> None:
    link = Link()
    link.come()
    link.registered.clear()
    assert [link.look(), link.look()] == [15.0, 15.0]
    link.come()
    link.registered.clear()
    assert [link.look(), link.look()] == [45.0, 45.0]


def test_a_link_that_the_cloud_never_shows_is_unlike_however_often_it_is_let_in() -> None:
    link = Link()
    for _ in range(4):
        link.come()
        link.is_shown = False
        assert link.look() == pytest.approx(15.0)


def test_of_a_machine_that_no_network_reaches_nobody_can_know() -> None:
    link = Link()
    link.come()
    link.registered.clear()
    link.path.up = False
    assert link.look() is None
