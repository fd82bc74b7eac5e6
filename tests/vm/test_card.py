"""The emulated machine's words, and what its sound card's status says."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.vm.boot_to_sound import trigger_seconds
from tests.vm.card import MACHINES, Card
from tools.image.board import FOLDER, read_board

STATUS = (
    "closed\nstate: RUNNING\nowner_pid   : 812\ntrigger_time: 12.345678901\ntstamp      : 13.1\n"
)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_there_is_an_emulated_machine_for_each_board(path: Path) -> None:
    machine = MACHINES[read_board(path.stem).architecture]
    # A board whose firmware chooses a device tree has it on its boot partition.
    board = read_board(path.stem)
    assert bool(machine.tree) == any(".dtb" in pattern for pattern, _ in board.boot)


def test_the_moment_of_the_first_sample_is_read_of_the_card_that_runs() -> None:
    assert trigger_seconds(STATUS) == pytest.approx(12.345678901)
    with pytest.raises(ValueError, match="trigger_time"):
        trigger_seconds("state: RUNNING\n")


def test_a_machine_that_goes_off_in_the_middle_of_a_command_is_told(tmp_path: Path) -> None:
    """It was asked again and again, until the command's time was over."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "shell"))
        listener.listen()

        def go_off() -> None:
            shell, _ = listener.accept()
            with shell:
                shell.recv(100)
                shell.sendall(b"begin\nhal")

        machine = threading.Thread(target=go_off)
        machine.start()
        with pytest.raises(ConnectionError, match="went off at 'halt': begin"):
            Card(tmp_path, read_board("qemu")).ask("halt", 20)
        machine.join()


def test_sound_after_a_moment_is_told_from_the_sound_before(tmp_path: Path) -> None:
    card = Card(tmp_path, read_board("qemu"))
    card.starts.append("A")
    assert (card.heard_bytes, card.loudness()) == (0, 0)
    samples = [9000, -9000, 0, 1]
    head = bytes(44)
    (tmp_path / "sound-1.wav").write_bytes(
        head + b"".join(it.to_bytes(2, "little", signed=True) for it in samples)
    )
    assert (card.heard_bytes, card.loudness(), card.loudness(4)) == (8, 9000, 1)
