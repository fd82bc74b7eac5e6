"""Which folders are around a title, and what files say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.playing.policies import POLICY_FILE, around, folder_of, policy_in_file
from resources.playing.queue import Queue, Track
from resources.playing.resume import Policy


def test_the_nearest_folder_is_the_first() -> None:
    assert around("x/y/a.mp3") == ["x/y/a.mp3", "x/y/", "x/", "/"]
    assert around("a.mp3") == ["a.mp3", "/"]
    assert around("//h/feed/a.mp3")[:2] == ["//h/feed/a.mp3", "//h/feed/"]


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        (["x/a", "x/b"], "x/"), (["x/y/a", "x/z/b"], "x/"), (["x/a", "y/b"], "/"), (["a"], "/"), ([], "/"),
        (["x/ya/a", "x/yb/b"], "x/"), (["x/y/z/a", "x/q/z/b"], "x/"),
    ],
)  # fmt: skip
def test_the_folder_of_a_queue_has_all_its_titles(keys: list[str], folder: str) -> None:
    assert folder_of(Queue([Track(key, f"/{key}", key) for key in keys])) == folder


@pytest.mark.parametrize(
    ("text", "policy"),
    [(b"story", Policy.STORY), (b" SONG\n", Policy.SONG), (b"", None), (b"opera", None), (b"\xff\xfe", None), (b"x" * 10**6, None)],
)  # fmt: skip
def test_a_file_in_or_above_the_folder_counts(
    tmp_path: Path, text: bytes, policy: Policy | None
) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    track = Track("a", str(tmp_path / "x/y/a.mp3"), "x/y/a.mp3")
    assert policy_in_file(track) is None
    (tmp_path / POLICY_FILE).write_bytes(b"song")
    assert policy_in_file(track) is Policy.SONG
    (tmp_path / "x" / POLICY_FILE).write_bytes(text)
    assert policy_in_file(track) is (policy or Policy.SONG)  # what is no word is no word


def test_what_is_no_file_has_no_file_beside_it() -> None:
    assert policy_in_file(Track("u", "http://h/u.mp3", "//h/u.mp3")) is None
    assert policy_in_file(Track("a", "/m/a.mp3")) is None
