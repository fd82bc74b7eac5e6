"""RAUC's D-Bus interface: its values as our types, its texts as our errors."""

from __future__ import annotations

import pytest

from ota.install.rauc import (
    find_pair,
)
from ota.install.rauc_bus import (
    RaucBundleError,
    RaucDeadlines,
    RaucRefusedError,
    Slot,
    parse_slots,
    rauc_bus,
    refusal_of,
)
from tests.ota.install.rauc_rig import RaucRig, needs_rauc


@needs_rauc
async def test_slots_as_dataclasses(rauc_rig: RaucRig) -> None:
    async with rauc_bus(RaucDeadlines(), rauc_rig.address) as rauc:
        booted, other = find_pair(await rauc.slots())
        assert await rauc.operation() == "idle"
    a, b = str(rauc_rig.root / "a.img"), str(rauc_rig.root / "b.img")
    assert booted == Slot("rootfs.0", "A", "booted", "good", "", "", a)
    assert other == Slot("rootfs.1", "B", "inactive", "good", "", "", b)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("signature verification failed: Verify error: self-signed certificate", RaucBundleError),
        ("Compatible mismatch: Expected 'a' but bundle manifest has 'b'", RaucBundleError),
        ("Failed updating slot rootfs.1: Input/output error", RaucRefusedError),
    ],
)
def test_a_fault_of_the_bundle_is_told_from_one_of_the_machine(text: str, kind: type) -> None:
    assert type(refusal_of(text)) is kind


@pytest.mark.parametrize("body", [None, 5, [("x",)], [("x", 5)], [(5, {})]])
def test_a_slot_status_of_another_shape_is_refused_by_name(body: object) -> None:
    with pytest.raises(RaucRefusedError, match="slot status"):
        parse_slots(body)
