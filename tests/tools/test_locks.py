"""The lock files: every pin has the hashes of files that its Pythons and machines install, and pip takes no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.test_deb import make_wheel
from tools.deb.recipes import BY_NAME, MACHINES, Recipe
from tools.deb.recipes import PYTHONS as DEBIANS
from tools.locks.files import (
    Archive,
    Pin,
    fits,
    make_files,
    make_lock,
    marker_of,
    read_files,
    read_pins,
)
from tools.locks.groups import (
    FOLDER,
    GROUPS,
    REST,
    SITE,
    SITE_PINS,
    SLOTS,
    SOURCE,
    LockError,
    Slot,
    needed,
    read_constraints,
)
from tools.locks.missing import missing

RENEW = "run: make locks"
LOCKS = (*GROUPS, REST, SOURCE)
DEBIAN = [slot for slot in SLOTS if slot.python in DEBIANS]
X11, X13, A11 = Slot("3.11", "x86_64"), Slot("3.13", "x86_64"), Slot("3.11", "aarch64")
PURE = Archive("pure-1-py3-none-any.whl", "a" * 64, 1_000_000)


def holds(pin: Pin, slot: Slot) -> bool:
    """Return whether pip installs a pin in ``slot``."""
    words = {f'python_version == "{slot.python}"', f'platform_machine == "{slot.machine}"'}
    parts = pin.marker.removeprefix(" ; ").split(" and ") if pin.marker else []
    return all(words & set(part.strip("()").split(" or ")) for part in parts)


def test_there_are_debians_pythons_and_both_machines() -> None:
    assert {slot.python for slot in SLOTS} >= set(DEBIANS) == {"3.11", "3.13"}
    assert {slot.machine for slot in SLOTS} == set(MACHINES.values()) == {"x86_64", "aarch64"}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"{slot.python}-{slot.machine}")
def test_each_pin_of_each_lock_has_the_hash_of_a_file_that_can_be_installed(slot: Slot) -> None:
    names = {it.digest: it.name for it in read_files()}
    groups = {}
    for group in LOCKS:
        for name, pin in read_pins(FOLDER / f"{group}.txt").items():
            if holds(pin, slot):
                groups[name] = group
                files = [names[digest] for digest in pin.digests]
                built = group == SOURCE and files == [f"{name}-{pin.version}.tar.gz"]
                assert built or any(fits(it, slot) for it in files), (name, files)
    assert groups == needed(slot), RENEW


@pytest.mark.parametrize("recipe", BY_NAME.values(), ids=lambda it: it.name)
@pytest.mark.parametrize("slot", DEBIAN, ids=lambda slot: f"{slot.python}-{slot.machine}")
def test_each_wheel_of_a_debian_package_has_its_hash(recipe: Recipe, slot: Slot) -> None:
    names = {it.digest: it.name for it in read_files()}
    pins = read_pins(recipe.lock(slot.python))
    for name in recipe.bundled(slot.python, slot.machine):
        assert any(fits(names[it], slot) for it in pins[name].digests), (name, RENEW)


def test_the_versions_are_those_of_the_constraints_and_each_has_a_hash() -> None:
    pinned = {
        name: pin for group in LOCKS for name, pin in read_pins(FOLDER / f"{group}.txt").items()
    }
    assert {name: pin.version for name, pin in pinned.items()} == read_constraints(), RENEW
    known = {it.digest for it in read_files()}
    site = read_pins(FOLDER / f"{SITE}.txt")
    assert {name: pin.version for name, pin in site.items()} == read_constraints(SITE_PINS), RENEW
    assert {it for of in (pinned, site) for pin in of.values() for it in pin.digests} == known


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"{slot.python}-{slot.machine}")
def test_each_pin_of_the_documents_site_has_a_file_that_can_be_installed(slot: Slot) -> None:
    names = {it.digest: it.name for it in read_files()}
    for name, pin in read_pins(FOLDER / f"{SITE}.txt").items():
        assert any(fits(names[it], slot) for it in pin.digests), (name, RENEW)


def test_a_machine_installs_nothing_that_serves_or_tests() -> None:
    device = read_pins(FOLDER / "device.txt")
    assert {"aiocoap", "tuf", "paho-mqtt", "segno", "zeroconf", "webrtcvad-wheels"} <= device.keys()
    others = {"fastapi", "sqlalchemy", "numpy", "pytest", "selenium", "setuptools"}
    assert not others & device.keys()


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pure", "1", "py3-none-any", {"pure/__init__.py": ""})
    lock = tmp_path / "lock.txt"
    lock.write_text(make_lock("a", {"pure": "1"}, {X11: [Archive(wheel.name, "0" * 64, 1)]}))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--require-hashes",
        "--no-index",
    ]
    done = subprocess.run(
        [*command, "--dry-run", "--find-links", tmp_path, "--target", tmp_path / "to", "-r", lock],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_a_lock_names_what_only_some_need() -> None:
    fast = {
        slot: Archive(f"fast-2-{slot.python}.whl", f"{n}" * 64, 500_000)
        for n, slot in enumerate((X11, A11))
    }
    other = Slot("3.13", "aarch64")
    slots = {X11: [PURE, fast[X11]], A11: [PURE, fast[A11]], X13: [PURE], other: [PURE]}
    text = make_lock("test", {"pure": "1", "fast": "2"}, slots)
    assert "# x86_64 3.11: 2 packages, 1.5 MB\n" in text
    hashes = f"--hash=sha256:{'0' * 64} --hash=sha256:{'1' * 64}"
    assert f'fast==2 ; python_version == "3.11" {hashes}\n' in text
    assert f"\npure==1 --hash=sha256:{'a' * 64}\n" in text


@pytest.mark.parametrize(
    ("mine", "marker"),
    [
        ({X11, A11, X13}, ""),
        ({X11, A11}, ' ; python_version == "3.11"'),
        ({A11}, ' ; python_version == "3.11" and platform_machine == "aarch64"'),
        ({X11, X13}, ' ; platform_machine == "x86_64"'),
    ],
)
def test_markers(mine: set[Slot], marker: str) -> None:
    assert marker_of(mine, {X11, A11, X13}) == marker


def test_what_no_marker_says_is_told() -> None:
    with pytest.raises(LockError, match="for all of them"):
        marker_of({A11, X13}, {X11, A11, X13, Slot("3.13", "aarch64")})


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-cp39-abi3-manylinux_2_34_x86_64.whl", True),
        ("a-1-cp312-abi3-manylinux_2_34_x86_64.whl", False),
        ("a-1-cp313-cp313-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311-manylinux_2_17_aarch64.whl", False),
        ("a-1-cp311-cp311-manylinux_2_39_x86_64.whl", False),  # Debian 12 has glibc 2.36
        ("a-1-cp311-cp311-win_amd64.whl", False),
    ],
)
def test_which_wheels_fit(name: str, there: bool) -> None:  # noqa: FBT001  # a table's column
    assert fits(name, X11) is there


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "files.txt"
    file.write_text(make_files([PURE, PURE]))
    assert read_files(file) == [PURE]
    file.write_text("x\n")
    with pytest.raises(LockError, match=r"files\.txt:1: got 'x', expected SHA-256, bytes, name"):
        read_files(file)


def test_the_setup_fetches_only_what_is_not_there() -> None:
    there = f"packaging=={read_constraints()['packaging']} --hash=sha256:{'0' * 64}"
    lines = ["packaging==1 --hash=sha256:00", "no-such-thing==2 --hash=sha256:00"]
    other = 'no-such-thing==3 ; python_version == "3.2" --hash=sha256:00'
    assert list(missing("\n".join(["# head", there, *lines, other, ""]))) == lines


def test_a_constraint_is_one_version(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("# pins\nA_b==1.0\n\nc>=2\n")
    with pytest.raises(LockError, match=r"constraints\.txt:4: got 'c>=2', expected name==version"):
        read_constraints(file)
