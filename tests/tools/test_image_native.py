"""This machine's programs in a root of another processor: lent, used, and given back without a trace."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tools.image.native import AWAY, PROGRAMS, give_back, hooks, is_foreign, lend, lent, strays

EM_AARCH64, EM_X86_64 = 183, 62


def elf(machine: int) -> bytes:
    """Return an ELF header's beginning: 64 bit, little-endian, a program."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + b"its own"


OTHER = elf(EM_X86_64 if os.uname().machine == "aarch64" else EM_AARCH64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/lib").mkdir()
    (root / "lib").symlink_to("usr/lib")
    for name in ("dash", "cat", "uname"):
        (root / "usr/bin" / name).write_bytes(OTHER)
    (root / "usr/bin/sed").write_text("#!/bin/sh\n")
    (root / "usr/bin/tar").symlink_to("dash")
    return root


def everything(root: Path) -> dict[str, bytes | None]:
    return {
        str(it.relative_to(root)): it.read_bytes() if it.is_file() else None
        for it in root.rglob("*")
    }


def test_only_programs_of_another_machine_are_lent_and_all_comes_back(root: Path) -> None:
    before = everything(root)
    assert lend(root) == ["dash", "cat"]
    assert not is_foreign(root / "usr/bin/dash")
    assert is_foreign(root / "usr/bin/uname")
    assert list(root.rglob("libc.so.6"))
    give_back(root)
    assert everything(root) == before


def test_a_package_that_brings_its_own_back_in_between_is_lent_to_again(root: Path) -> None:
    lend(root)
    (root / "usr/bin/dash").unlink()
    (root / "usr/bin/dash").write_bytes(OTHER + b", newer")
    (root / "usr/bin/cat").write_bytes(OTHER)
    assert lend(root) == ["dash", "cat"]
    give_back(root)
    assert (root / "usr/bin/dash").read_bytes() == OTHER + b", newer"
    assert not (root / AWAY).exists()


def test_they_come_back_after_a_fault_too(root: Path) -> None:
    before = everything(root)

    def fail() -> None:
        with lent(root):
            assert not is_foreign(root / "usr/bin/cat")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert everything(root) == before


def test_a_root_of_this_machine_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/dash").write_bytes(Path(sys.executable).read_bytes()[:64])
    assert lend(tmp_path) == []
    give_back(tmp_path)
    assert [it.name for it in tmp_path.rglob("*") if it.is_file()] == ["dash"]


def test_a_program_of_another_processor_that_stays_in_a_root_is_found(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/right.so").write_bytes(elf(EM_AARCH64))
    (tmp_path / "opt/start4.elf").write_bytes(elf(137))  # the Pi's VideoCore
    (tmp_path / "opt/text").write_text("ELF")
    (tmp_path / "link").symlink_to("opt/wrong.so")
    assert strays(tmp_path, "arm64") == []
    (tmp_path / "opt/wrong.so").write_bytes(elf(EM_X86_64))
    assert strays(tmp_path, "arm64") == [Path("opt/wrong.so")]
    assert strays(tmp_path, "amd64") == [Path("opt/right.so")]


def test_nothing_is_lent_that_tells_the_processor() -> None:
    assert not {"uname", "arch", "dpkg", "dpkg-architecture", "ldd", "nproc"} & set(PROGRAMS)
    assert not [name for name in PROGRAMS if name.startswith("python")]


def test_mmdebstraps_hooks_lend_and_give_back(root: Path) -> None:
    told = [it.partition("-hook=") for it in hooks()]
    assert [it[0] for it in told] == ["--essential", "--customize"]
    before = everything(root)
    for _, _, command in told:
        subprocess.run(["sh", "-c", command, "hook", str(root)], check=True, timeout=60)
    assert everything(root) == before
