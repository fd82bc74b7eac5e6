"""What is made of systemd's words on the twin, and of the paths that its player could write."""

from __future__ import annotations

from pathlib import Path

from tests.vm.card import Card
from tests.vm.services import levels, strange
from tools.image.board import read_board

SAID = """\
→ Overall exposure level for story-agent.service: 1.6 OK :-)
-> Overall exposure level for story-player@1.service: 1.7 OK :-)
→ Overall exposure level for story-machine-grow.service: 9.2 UNSAFE
"""


def test_each_services_level_is_read() -> None:
    assert levels(SAID) == {"story-agent": 1.6, "story-player": 1.7, "story-machine-grow": 9.2}
    assert levels("Unit story-agent.service not found.") == {}


def test_the_player_may_own_and_write_its_own_temporary_folder_alone() -> None:
    private = "/tmp/systemd-private-0a1b-story-player@1-7-812.service-xY"
    assert strange([private, f"{private}/tmp", "/tmp", "/var/tmp", "/tmp/pulse-Xy12/pid"]) == []
    others = [
        "/tmp/systemd-private-0a1b-story-agent.service-xY/tmp", "/var/lib/story-agent/player", "/data/tmp", "/tmpx",
    ]  # fmt: skip
    assert strange(others) == others


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
