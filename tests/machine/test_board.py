"""The board's name, read from a tree like /proc/device-tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.board import read_board


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"raspberrypi,3-model-b\0brcm,bcm2837\0", "raspberrypi,3-model-b"),
        (b"raspberrypi,4-model-b", "raspberrypi,4-model-b"),
        (b"", ""),
        (b"odd\xff\0", "odd\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_first_name_is_the_most_specific(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / "compatible").write_bytes(data)
    assert read_board(tmp_path) == name


def test_a_pc_has_no_device_tree(tmp_path: Path) -> None:
    assert read_board(tmp_path / "none") == ""
