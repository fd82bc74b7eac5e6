"""What the simulation takes for the last order, and what it finds wrong with what the player is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from machine.errors import UnavailableError
from resources.playing.events import Stopped
from resources.playing.last_wins import GivenUpError
from resources.playing.orders import Add, Command, Jump, Order, Play, Seek
from tools.sim.last_order import LastOrder
from tools.sim.web_server import url_of

ONE, TWO = "/media/story 01.mp3", "/media/story 02.mp3"


class World:
    """A machine whose player has what the test puts there."""

    def __init__(self) -> None:
        self.player = SimpleNamespace(source=None, has_ended=False, is_closed=False)
        machine: Any = SimpleNamespace(
            sounds=SimpleNamespace(hears=None), player=self.player, agent=None
        )
        self.orders = LastOrder(machine)

    def obey(self, order: Order, source: str | None) -> None:
        number = self.orders.begin(order)
        if source is not None and source != self.player.source:
            self.load(source)
        self.player.source = source
        self.orders.done(order, number)

    def load(self, source: str) -> None:
        self.orders.loads(source)
        self.orders.loaded(source)
        self.player.source = source


def teller(track: str | None, current: str | None, *, busy: bool = False) -> Any:
    def made(source: str | None) -> Any:
        return None if source is None else SimpleNamespace(key=source, source=source)

    programme = SimpleNamespace(
        deck=SimpleNamespace(track=made(track), loading=False),
        queue=SimpleNamespace(current=made(current)),
        lock=SimpleNamespace(locked=lambda: busy),
    )
    return SimpleNamespace(_programme=programme, _orders=0)


def test_what_was_ordered_and_what_follows_its_end_is_as_it_should_be() -> None:
    world = World()
    world.obey(Play("story 01"), ONE)
    world.obey(Seek(3.0), ONE)
    world.orders.ended(ONE)
    world.load(TWO)
    world.obey(Command.PAUSE, TWO)
    world.obey(Command.NEXT, ONE)
    world.obey(Command.STOP, None)
    older = world.orders.begin(Play("story 01"))
    world.obey(Play("story 02"), TWO)
    world.orders.done(Play("story 01"), older)  # it came before: the newer one counts
    world.orders.look(teller(TWO, TWO))
    world.orders.look(teller(TWO, ONE, busy=True))
    world.orders.gone()
    world.load(ONE)  # of another process
    world.orders.loads("/run/chime.wav")
    assert world.orders.broken == []


def test_another_title_after_the_last_order_is_found() -> None:
    world = World()
    world.obey(Play("story 01"), ONE)
    world.load(TWO)
    assert world.orders.broken == ["story 01 was ordered last, and story 02 is loaded"]


def test_a_title_after_a_stop_is_found() -> None:
    world = World()
    world.obey(Command.STOP, None)
    world.load(TWO)
    assert world.orders.broken == ["silence was ordered last, and story 02 is loaded"]


def test_two_titles_that_are_loaded_at_once_are_found() -> None:
    world = World()
    world.orders.loads(ONE)
    world.orders.loads(TWO)
    assert world.orders.broken == ["story 02 is loaded while another title is"]


@pytest.mark.parametrize(
    ("order", "source", "told"),
    [
        (Play("story 01"), TWO, "story 01 was answered as done, and story 02 is loaded"),
        (Play("story 01"), None, "story 01 was answered as done, and nothing is loaded"),
        (Command.STOP, TWO, "to stop was answered as done, and story 02 is loaded"),
    ],
    ids=str,
)
def test_an_answer_that_is_not_so_is_found(order: Order, source: str | None, told: str) -> None:
    world = World()
    world.obey(order, source)
    assert world.orders.broken == [told]


@pytest.mark.parametrize(("track", "current"), [(ONE, TWO), (ONE, None), (None, TWO)], ids=str)
def test_a_queue_that_is_not_at_the_track_on_the_deck_is_found(
    track: str | None, current: str | None
) -> None:
    world = World()
    world.player.source = track
    world.orders.look(teller(track, current))
    (told,) = world.orders.broken
    assert told.startswith("the queue is at ")


def test_a_player_that_has_another_title_than_the_deck_is_found() -> None:
    world = World()
    world.player.source = TWO
    world.orders.look(teller(ONE, ONE))
    (told,) = world.orders.broken
    assert told.endswith(f"is on the deck, and {TWO} on the player")


def test_a_process_that_ends_has_closed_its_player_and_not_its_deck() -> None:
    world = World()
    world.player.is_closed = True
    world.orders.look(teller(ONE, ONE))
    assert world.orders.broken == []


@pytest.mark.parametrize("under_way", [True, False])
def test_what_is_to_be_repeated_is_replaced_by_an_order_from_before_its_end_alone(
    *, under_way: bool
) -> None:
    world = World()
    world.obey(Play("story 01"), ONE)
    if under_way:
        world.orders.begin(Command.NEXT)
    world.orders.ended(ONE)
    world.orders._again = ONE  # as in the mode that repeats one title
    world.load(TWO)
    told = [] if under_way else ["story 01 is to be repeated, and story 02 is loaded"]
    assert world.orders.broken == told


def add(world: World, length: int) -> None:
    order = Add(("story 01",), next=True)
    world.orders.done(order, world.orders.begin(order))
    world.orders.has(order, length)


def jump(world: World, length: int) -> None:
    world.obey(Jump("story 02"), TWO)
    world.orders.has(Jump("story 02"), length)


def test_what_was_added_and_is_gone_by_a_jump_is_found() -> None:
    world = World()
    add(world, 9)
    add(world, 10)
    jump(world, 10)
    assert world.orders.broken == []
    jump(world, 9)
    assert world.orders.broken == ["titles were answered as added, and the queue has 9, not 10"]


@pytest.mark.parametrize("order", [Play("story 01"), Command.STOP, Command.RESUME], ids=str)
def test_what_was_added_may_be_gone_by_an_order_for_something_else(order: Order) -> None:
    world = World()
    add(world, 9)
    number = world.orders.begin(order)
    jump(world, 1)
    add(world, 2)  # into which queue is not known
    world.orders.over(order)
    jump(world, 1)
    assert number
    add(world, 3)
    world.orders.tells(Stopped())
    jump(world, 1)
    assert world.orders.broken == []


def test_a_story_from_the_web_after_the_last_order_is_found_once_it_is_known_which_it_is() -> None:
    world = World()
    world.obey(Play("story 01"), ONE)
    world.load("http://127.0.0.1:4000/token")
    assert world.orders.broken == []
    world.orders.knows(url_of("web-2"))
    assert world.orders.broken == ["story 01 was ordered last, and web-2 is loaded"]


def test_only_a_newer_order_may_take_the_place_of_one() -> None:
    world = World()
    older = world.orders.begin(Play("story 01"))
    newer = world.orders.begin(Command.NEXT)
    world.orders.failed(Play("story 01"), older, GivenUpError())
    world.orders.failed(Command.NEXT, newer, UnavailableError("play: no sound device"))
    assert world.orders.broken == []
    world.orders.failed(Command.NEXT, newer, UnavailableError(str(GivenUpError())))
    (told,) = world.orders.broken
    assert told.endswith("was given up for a newer order, and there is none")
