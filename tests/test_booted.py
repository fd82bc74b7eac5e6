"""What is made of a booted system's words, and of the paths that its player could write."""

from __future__ import annotations

import pytest

from tests.booted import FoundError, exposure, levels, player, strange

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


def test_a_service_that_is_more_exposed_or_of_which_nothing_is_said_is_told() -> None:
    with pytest.raises(FoundError, match=r"more exposed than 1\.7: {'story-machine-grow': 9\.2}"):
        exposure(lambda _: SAID, "story-agent.service", "story-player@1.service", "story-machine-grow.service")  # fmt: skip
    with pytest.raises(FoundError, match=r"expected .*'story-cloud'"):
        exposure(lambda _: SAID, "story-agent.service", "story-cloud.service")
    good = "\n".join(SAID.splitlines()[:2])
    found = exposure(lambda _: good, "story-agent.service", "story-player@1.service")
    assert found == "story-agent 1.6, story-player 1.7"


@pytest.mark.parametrize(("said", "pid"), [("812\n", 812), ("0", 0), ("", 0), ("No unit", 0)])
def test_no_player_is_no_process(said: str, pid: int) -> None:
    assert player(lambda _: said) == pid
