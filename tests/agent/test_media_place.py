"""Whether the stories lie in a folder of their own, and what the agent makes in its state folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.media_place import OWN_FOLDERS, is_around, own_folder_around

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "lib" / "story-agent"
    made.mkdir(parents=True)
    (made / "here").symlink_to(".")
    (made / "up").symlink_to("..")
    (made / "round").symlink_to("round")
    (tmp_path / "link").symlink_to(made)
    return made


@pytest.mark.parametrize(
    ("media", "around"),
    [
        (".", True), ("./", True), ("..", True), ("../..", True), ("/", True), ("media/..", True), ("here", True),
        ("up", True), ("here/here", True), ("../story-agent", True), ("{state}", True), ("{state}/..", True),
        ("{parent}/link", True), ("media", False), ("{state}/media", False), ("../stories", False),
        ("/media/card", False), ("../story-agent-2", False), ("here/media", False), ("round", False), ("儿歌", False),
    ],
)  # fmt: skip
def test_a_folder_that_is_or_contains_the_state_folder_is_known_by_any_name(
    state: Path, media: str, *, around: bool
) -> None:
    told = Path(media.format(state=state, parent=state.parents[1]))
    assert is_around(state, told) is around
    assert is_around(state.parents[1] / "link", told) is around


@pytest.mark.parametrize(
    ("media", "own"),
    [
        ("stories", "stories"), ("stories/a", "stories"), ("ota/download", "ota"), ("here/slots/x", "slots"),
        ("media", None), ("stories2", None), (".", None), ("..", None), ("/media/stories", None),
    ],
)  # fmt: skip
def test_a_folder_of_the_agents_own_is_named(state: Path, media: str, own: str | None) -> None:
    assert own_folder_around(state, Path(media)) == own


def test_every_folder_that_the_source_makes_in_the_state_folder_is_listed() -> None:
    """A new one must not be taken for stories by a factory reset."""
    named: set[str] = set()
    for package in ("agent", "machine", "resources", "ota"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            named |= {*re.findall(r'\bstate(?:_dir)? / "([a-z]+)"(?! *\+)', text)}
            named |= {
                *re.findall(r'^(?:FOLDER_NAME|FOLDER|SLOTS|OTA) = "([a-z]+)"', text, re.MULTILINE)
            }
    assert {"ota", "player", "stories", "lan", "slots"} <= named
    assert named <= OWN_FOLDERS
