"""The signed custom fields: read strictly, and compared with this machine."""

from __future__ import annotations

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
from wire.errors import WireError
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
