"""The bind token's way from the cloud to the machine: who may bind with which, at every point where a cut may come.

Tests staging.store.found too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from staging.errors import AlreadyBoundError, RefusedError
from staging.store import Database, apps, bind_tokens, devices
from staging.store.bind_tokens import Renewal
from staging.store.models import Binding, Device

UUID = "0083000000000a"
NOW = 1_495_000_000_000


class Home:
    """A device in the store, and the families around it; each step is a transaction."""

    def __init__(self, database: Database) -> None:
        self.call = database.call
        made = database.call(devices.add, UUID, NOW)
        self.id, self.old = made.id, made.bind_token or ""
        self.now = NOW

    def read(self, work: Callable[[Device], Any]) -> Any:
        return self.call(lambda session: work(session.get_one(Device, self.id)))

    def change(self, **values: object) -> None:
        def work(session: Any) -> None:
            for name, value in values.items():
                setattr(session.get_one(Device, self.id), name, value)

        self.call(work)

    def bind(self, who: str, token: str) -> str:
        """Bind; return what became of it."""
        self.now += 1000
        account = self.call(apps.account, who, self.now).id
        try:
            self.call(devices.bind, UUID, token, account, self.now)
        except RefusedError as error:
            return str(int(error.code))
        except AlreadyBoundError:
            return "406"
        return "bound"

    def unbind(self) -> str | None:
        self.now += 1000
        return self.call(devices.unbind, self.id, self.now)

    def stored(self, token: str) -> None:
        self.call(bind_tokens.note_stored, self.id, token, self.now)

    @property
    def next(self) -> str:
        return str(self.read(lambda device: device.next_bind_token))

    @property
    def renewal(self) -> Renewal:
        found: Renewal = self.read(bind_tokens.renewal_of)
        return found


@pytest.fixture
def home(database: Database) -> Home:
    made = Home(database)
    made.change(renews=True)
    return made


def test_the_old_token_binds_until_the_machine_has_the_new_one_but_not_for_who_has_gone(
    home: Home,
) -> None:
    assert home.bind("first", home.old) == "bound"
    home.unbind()
    assert (home.renewal, len(home.next), home.next == home.old) == (Renewal.WAITING, 32, False)
    assert home.bind("first", home.old) == "1228"
    assert home.bind("second", home.old) == "bound"
    new = home.next
    home.stored(new)
    assert home.renewal is Renewal.DONE
    home.unbind()
    assert home.bind("third", home.old) == "1228"


def test_who_has_gone_binds_again_with_the_machine_in_hand(home: Home) -> None:
    home.bind("first", home.old)
    home.unbind()
    new = home.next
    home.stored(new)
    assert home.bind("first", home.old) == "1228"
    assert home.bind("first", new.upper()) == "bound"


def test_an_answer_that_a_power_cut_swallows_locks_nobody_out(home: Home) -> None:
    """The machine has the new token on its disk, and the cloud does not know it: its code shows the new one."""
    home.bind("first", home.old)
    home.unbind()
    assert home.bind("second", home.next) == "bound"
    assert home.renewal is Renewal.DONE


def test_a_machine_that_tells_its_token_at_its_start_confirms_it_too(home: Home) -> None:
    home.bind("first", home.old)
    home.unbind()
    new = home.next
    assert home.read(lambda device: bind_tokens.confirm(device, new, home.now))
    assert home.read(lambda device: (device.bind_token, device.barred)) == (new, [])


def test_a_machine_that_lost_the_token_is_given_it_again(home: Home) -> None:
    home.bind("first", home.old)
    home.unbind()
    new = home.next
    home.stored(new)
    assert not home.read(lambda device: bind_tokens.confirm(device, home.old, home.now))
    assert home.call(bind_tokens.wanted, home.id).token == new
    assert home.call(bind_tokens.waiting) == [UUID]
    home.stored(new)
    assert home.call(bind_tokens.wanted, home.id).token is None
    assert home.call(bind_tokens.waiting) == []


def test_the_machine_s_own_code_takes_it_from_who_bound_it_with_the_old_one(home: Home) -> None:
    """The first family has a second account, or has given the old token away."""
    home.bind("first", home.old)
    home.unbind()
    assert home.bind("friend", home.old) == "bound"
    assert home.bind("second", home.old) == "406"
    new = home.next
    home.stored(new)
    assert home.bind("second", new) == "bound"
    assert home.bind("friend", new) == "406"
    assert home.call(lambda session: session.get_one(Binding, home.id).proven)


def test_who_has_bound_it_with_the_old_one_can_prove_it(home: Home) -> None:
    home.bind("first", home.old)
    home.unbind()
    home.bind("second", home.old)
    new = home.next
    home.stored(new)
    assert home.bind("second", new) == "bound"
    assert home.bind("third", new) == "406"


@pytest.mark.parametrize("renews", [None, False])
def test_firmware_that_takes_no_new_token_keeps_the_old_one_for_everybody(
    home: Home,
    renews: bool | None,  # noqa: FBT001  # a parameter of the table
) -> None:
    home.change(renews=renews, status="ACTIVATED")
    home.bind("first", home.old)
    home.unbind()
    assert home.renewal is Renewal.CANNOT
    found = home.call(bind_tokens.pending)
    assert [(each.uuid, each.renewal) for each in found] == [(UUID, Renewal.CANNOT)]
    assert home.call(bind_tokens.waiting) == []
    assert home.bind("first", home.old) == "bound"
    assert home.call(bind_tokens.pending)[0].owner == "first"
    # An update brings firmware that can: it is renewed then.
    home.change(renews=True)
    assert home.call(bind_tokens.waiting) == [UUID]


def test_a_token_of_before_is_renewed_once_however_often_families_go(home: Home) -> None:
    home.bind("first", home.old)
    home.unbind()
    new = home.next
    home.bind("second", home.old)
    home.unbind()
    assert home.next == new
    assert home.bind("first", home.old) == home.bind("second", home.old) == "1228"
    assert home.unbind() is None  # nobody has it
