"""Which devices run a part: the decision by table, and the store's join on both databases."""

from __future__ import annotations

import pytest

from staging.errors import NotFoundError
from staging.store import Database, devices, releases, sboms
from staging.store.effects import RunningVersion, Wanted, apply_all
from staging.store.models import Device
from staging.store.sboms import Basis, Found, Lists, parts_of
from wire.reports import Sboms

OWN, BASE, OTHER = "a" * 64, "b" * 64, "c" * 64
BUNDLED, AGAINST = Found("2.0", bundled=True), Found("2.0", bundled=False)
OF_BASE = Found("1.9", bundled=True)
REPORTED, ASSUMED = Basis.REPORTED, Basis.ASSUMED


@pytest.mark.parametrize(
    ("own", "base", "by_version", "known", "expected"),
    [
        # What the release brings comes first on the import path.
        (OWN, BASE, None, {OWN: [BUNDLED], BASE: [OF_BASE]}, (REPORTED, {"2.0"})),
        # What it does not bring is the base install's, whatever it was built against.
        (OWN, BASE, None, {OWN: [AGAINST], BASE: [OF_BASE]}, (REPORTED, {"1.9"})),
        (OWN, BASE, None, {OWN: [AGAINST], BASE: []}, (REPORTED, set())),
        (OWN, BASE, None, {OWN: [AGAINST]}, None),
        (OWN, None, None, {OWN: [AGAINST]}, (ASSUMED, {"2.0"})),
        (OWN, None, None, {OWN: []}, (REPORTED, set())),
        # A list that the cloud lacks is not replaced by another guess.
        (OWN, None, OTHER, {OTHER: [BUNDLED]}, None),
        (None, None, OTHER, {OTHER: [BUNDLED]}, (ASSUMED, {"2.0"})),
        (None, BASE, OTHER, {OTHER: [AGAINST], BASE: [OF_BASE]}, (ASSUMED, {"1.9"})),
        (None, BASE, None, {BASE: [OF_BASE]}, None),
        (None, None, OTHER, {}, None),
        (None, None, None, {OWN: [BUNDLED]}, None),
    ],
)
def test_which_versions_a_device_runs(
    own: str | None,
    base: str | None,
    by_version: str | None,
    known: dict[str, list[Found]],
    expected: object,
) -> None:
    assert parts_of(Lists(own, base, by_version), known) == expected


def keep(database: Database, digest: str, *parts: tuple[str, str, bool]) -> bool:
    return database.call(
        sboms.add, digest, name="story-agent", version="1", document="{}", parts=parts, now=5
    )


def report(database: Database, device: Device, version: str, told: Sboms) -> None:
    wanted = [Wanted([RunningVersion(version, told)])]
    database.call(apply_all, device.id, None, wanted, 9)


def test_what_devices_reported_is_joined_with_the_lists(database: Database) -> None:
    assert keep(database, OWN, ("urllib3", "2.0", False), ("story-agent", "1.1", True))
    assert not keep(database, OWN, ("other", "1", True))
    keep(database, BASE, ("urllib3", "1.9", True), ("urllib3", "1.9", False))
    target = releases.Target("p", 1, "0" * 32, "0" * 64, OWN)
    database.call(releases.add_package, "1.1", target, "", 0)
    slot, silent, strange, old = (
        database.call(devices.add, f"01a80000007{n}", 0) for n in ("2a0", "2a1", "2a2", "2a3")
    )
    report(database, slot, "1.1", Sboms(OWN, BASE))
    report(database, silent, "1.1", Sboms())
    report(database, strange, "1.1", Sboms(OTHER))
    report(database, old, "1.0", Sboms())

    found = database.call(sboms.devices_with, "urllib3", None)
    assert [(it.uuid, it.running, it.version, it.basis) for it in found.matches] == [
        (slot.uuid, "1.1", "1.9", REPORTED),
        (silent.uuid, "1.1", "2.0", ASSUMED),
    ]
    assert (found.devices, found.unknown, found.missing) == (4, 2, [OTHER])
    only = database.call(sboms.devices_with, "urllib3", "1.9")
    assert [it.uuid for it in only.matches] == [slot.uuid]
    assert database.call(sboms.devices_with, "urllib3", "1").matches == []
    assert database.call(sboms.similar, "lib") == ["urllib3"]
    assert database.call(sboms.similar, "%") == []

    report(database, slot, "1.0", Sboms())  # rolled back to a release that has none
    assert database.call(sboms.devices_with, "urllib3", "1.9").matches == []


def test_lists_are_named_by_how_they_begin(database: Database) -> None:
    keep(database, OWN, ("a", "1", True))
    keep(database, "a" * 10 + "b" * 54, ("a", "1", True), ("b", "1", True))
    device = database.call(devices.add, "01a800000072a0", 0)
    report(database, device, "1.1", Sboms(OWN, OWN))
    rows = database.call(sboms.every)
    assert [(sbom.sha256[:11], parts, count) for sbom, parts, count in rows] == [
        ("a" * 11, 1, 2),
        ("a" * 10 + "b", 2, 0),
    ]
    assert database.call(sboms.named, "A" * 11).sha256 == OWN
    for wrong in ("a" * 6, "a" * 5, "d" * 6, "%" * 8, OTHER):
        with pytest.raises(NotFoundError, match="SBOM"):
            database.call(sboms.named, wrong)
