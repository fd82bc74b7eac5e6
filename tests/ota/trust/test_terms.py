"""The signed custom fields: read strictly, and compared with this machine."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from ota.errors import ContentError
from ota.trust.terms import (
    MapFile,
    Terms,
    ThisMachine,
    admit,
    check_terms,
    parse_map_file,
    parse_terms,
)
from wire.errors import FieldError, WireError
from wire.ota import InstallerKind

MACHINE = ThisMachine("lamp", "1.5.0", "pi4", "beta", InstallerKind.SLOTS)
TERMS = Terms("lamp", "2.0.0")
FULL = Terms(
    "lamp", "2.0.0", InstallerKind.RAUC, ("pi4",), "1.0.0", 50, ("3.0.0",), ("beta",), "sings badly",
    MapFile(9, "0" * 64, "0" * 32),
)  # fmt: skip


@pytest.mark.parametrize("terms", [TERMS, FULL, replace(TERMS, channels=())])
def test_terms_read_as_they_were_written(terms: Terms) -> None:
    check_terms(terms)
    assert parse_terms(terms.to_json()) == terms


def test_terms_that_no_machine_could_read_are_not_signed() -> None:
    with pytest.raises(WireError, match=r"custom\.version"):
        check_terms(replace(TERMS, version="two"))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("length", 0),
        ("length", 2**40),
        ("sha256", "../../x"),
        ("sha256", "A" * 64),
        ("md5", "0" * 31),
    ],
)
def test_the_signed_map_is_read_strictly(member: str, value: object) -> None:
    good = {"length": 9, "sha256": "0" * 64, "md5": "0" * 32}
    assert parse_map_file({"map": good}, "custom.") == MapFile(9, "0" * 64, "0" * 32)
    with pytest.raises(WireError, match=rf"custom\.map\.{member}"):
        parse_map_file({"map": good | {member: value}}, "custom.")


def test_the_largest_map_has_16_mib() -> None:
    good = {"length": 16_777_216, "sha256": "0" * 64, "md5": "0" * 32}
    read = parse_map_file({"map": good}, "custom.")
    assert read is not None
    assert read.length == 16_777_216
    with pytest.raises(WireError, match=r"custom\.map\.length"):
        parse_map_file({"map": good | {"length": 16_777_217}}, "custom.")


def test_a_map_is_the_one_whose_hash_was_signed() -> None:
    named = MapFile(3, hashlib.sha256(b"map").hexdigest(), "0" * 32)
    assert named.fits(b"map")
    assert not named.fits(b"mop")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"product": ""}, "custom.product"),
        ({"version": "two"}, "custom.version"),
        ({"installer": None}, "custom.installer"),
        ({"compatible": ["pi4"]}, "custom.compatible"),
        ({"compatible": {"hardware": "pi4"}}, "custom.compatible.hardware"),
        ({"compatible": {"hardware": ["pi4", ""]}}, "custom.compatible.hardware"),
        ({"compatible": {"hardware": ["pi4", 5]}}, "custom.compatible.hardware"),
        ({"compatible": {"min_agent": "old"}}, "custom.compatible.min_agent"),
        ({"data_budget": 0}, "custom.data_budget"),
        ({"data_budget": 68_719_476_737}, "custom.data_budget"),
        ({"downgrade_from": ["1.0", "x"]}, "custom.downgrade_from"),
        ({"channels": "beta"}, "custom.channels"),
        ({"revoked": ""}, "custom.revoked"),
        ({"revoked": True}, "custom.revoked"),
        ({"map": {}}, "custom.map.length"),
    ],
)
def test_terms_are_read_strictly(members: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_terms(FULL.to_json() | members)
    assert caught.value.field == named


@pytest.mark.parametrize("custom", [None, [], "lamp", 5])
def test_terms_that_are_no_object(custom: object) -> None:
    with pytest.raises(FieldError, match=r"^custom: "):
        parse_terms(custom)


def test_what_says_nothing_is_not_written() -> None:
    assert TERMS.to_json() == {"version": "2.0.0", "product": "lamp", "installer": "slots"}
    assert replace(TERMS, channels=()).to_json()["channels"] == []


@pytest.mark.parametrize(
    "terms",
    [
        TERMS,
        replace(TERMS, hardware=("pi3", "pi4"), channels=("stable", "beta"), min_agent="1.5"),
        Terms("lamp", "1.0.0", downgrade_from=("1.4.0", "1.5.0")),
    ],
)
def test_terms_that_this_machine_meets(terms: Terms) -> None:
    admit(terms, terms.version, MACHINE)


@pytest.mark.parametrize(
    ("terms", "check"),
    [
        (replace(TERMS, product="clock"), "wrong product"),
        (replace(TERMS, installer=InstallerKind.RAUC), "wrong installer"),
        (replace(TERMS, installer="of another time"), "wrong installer"),
        (replace(TERMS, revoked="sings badly"), "revoked"),
        (replace(TERMS, hardware=("pi5",)), "wrong hardware"),
        (replace(TERMS, channels=()), "not offered"),
        (replace(TERMS, channels=("stable",)), "not offered"),
        (replace(TERMS, min_agent="1.5.1"), "agent too old"),
        (replace(TERMS, version="1.5"), "not newer"),
        (Terms("lamp", "1.0.0", downgrade_from=("1.4.0",)), "not newer"),
    ],
)
def test_terms_that_it_does_not_meet(terms: Terms, check: str) -> None:
    with pytest.raises(ContentError) as caught:
        admit(terms, terms.version, MACHINE)
    assert caught.value.check == check


@pytest.mark.parametrize(
    ("terms", "machine", "told"),
    [
        (replace(TERMS, hardware=("pi5",)), replace(MACHINE, hardware=""), "not known"),
        (replace(TERMS, hardware=("pi5", "pi6")), MACHINE, 'for "pi5, pi6", this machine is "pi4"'),
        (replace(TERMS, channels=()), MACHINE, 'to "no channel yet", this machine is on beta'),
        (replace(TERMS, channels=("a", "b")), MACHINE, 'to "a, b"'),
        (replace(TERMS, product="clock"), MACHINE, 'product: got "clock", expected "lamp"'),
    ],
)
def test_a_refusal_tells_both_values(terms: Terms, machine: ThisMachine, told: str) -> None:
    with pytest.raises(ContentError, match=re.escape(told)):
        admit(terms, terms.version, machine)


def test_a_package_of_another_version_than_was_ordered_is_refused() -> None:
    with pytest.raises(ContentError, match="version: got"):
        admit(TERMS, "2.0.1", MACHINE)
