"""arm64's emulator is registered while somebody needs it, and the last one removes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.emulation import OURS, SYSTEMS, EmulationError, emulation


class Kernel:
    """A folder in the place of binfmt_misc: what is written to ``register`` becomes an entry, as the kernel makes it."""

    def __init__(self, folder: Path) -> None:
        self.binfmt, self.lock = folder / "binfmt", folder / "lock"
        self.binfmt.mkdir()
        (self.binfmt / "register").touch()

    def entry(self) -> str | None:
        path = self.binfmt / OURS
        return path.read_text() if path.exists() else None


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_it_is_registered_and_removed(kernel: Kernel) -> None:
    with emulation(binfmt=kernel.binfmt, lock=kernel.lock):
        line = (kernel.binfmt / "register").read_bytes()
        assert line.startswith(b":story-aarch64:M::")
        assert line.endswith(b":/usr/bin/qemu-aarch64-static:F")
    assert kernel.entry() == "-1"


def test_the_last_of_two_removes_it(kernel: Kernel) -> None:
    with emulation(binfmt=kernel.binfmt, lock=kernel.lock):
        (kernel.binfmt / OURS).write_text("enabled")
        with emulation(binfmt=kernel.binfmt, lock=kernel.lock):
            pass
        assert kernel.entry() == "enabled"
    assert kernel.entry() == "-1"


def test_the_systems_own_entry_is_left_alone(kernel: Kernel) -> None:
    (kernel.binfmt / SYSTEMS).touch()
    with emulation(binfmt=kernel.binfmt, lock=kernel.lock):
        assert (kernel.binfmt / "register").read_bytes() == b""
    assert kernel.entry() is None


def test_a_kernel_that_takes_none_is_told_and_a_fault_of_the_work_is_its_own(
    kernel: Kernel,
) -> None:
    with pytest.raises(OSError, match="full"), emulation(binfmt=kernel.binfmt, lock=kernel.lock):
        raise OSError("full")
    (kernel.binfmt / "register").unlink()
    (kernel.binfmt / "register").mkdir()
    (kernel.binfmt / OURS).unlink()
    with (
        pytest.raises(EmulationError, match="cannot be registered"),
        emulation(binfmt=kernel.binfmt, lock=kernel.lock),
    ):
        pass
