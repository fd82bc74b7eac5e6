"""Points of speech, and audio.tflite beneath: the same for the same sound however it is cut, none without the extra."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from audio.embedding import SIZE, STEP_BYTES, Embedder, Missing, find_models
from audio.errors import AudioError
from audio.wake_match import distance
from tests.audio.wake_speech import models, need_speech, said


def test_points_are_of_length_one_and_do_not_depend_on_the_pieces() -> None:
    need_speech()
    sound = said("你好")
    one, other = models(), models()
    whole = one.add(sound)
    pieces = [p for at in range(0, len(sound), 640) for p in other.add(sound[at : at + 640])]
    assert whole == pieces
    assert len(whole) == len(sound) // STEP_BYTES
    assert all(len(p) == SIZE and abs(distance(p, p)) < 1e-6 for p in whole)
    one.reset()
    assert one.add(sound) == whole
    one.close()
    other.close()


def test_a_step_that_was_left_out_is_known_to_those_after_it() -> None:
    need_speech()
    sound = said("你好")
    one, other = models(), models()
    whole = one.add(sound)
    half = len(whole) // 2 * STEP_BYTES
    other.skip(sound[:half])
    assert other.add(sound[half:]) == whole[len(whole) // 2 :]
    one.close()
    other.close()


def test_what_was_not_heard_yet_was_silence() -> None:
    """The first points of a word that is said at once are those of one that is said after a minute's silence."""
    need_speech()
    sound = said("你好")
    one, other = models(), models()
    other.skip(bytes(STEP_BYTES * 60))
    first, late = one.add(sound)[0], other.add(sound)[0]
    assert distance(first, late) < 1e-6
    one.close()
    other.close()


def test_without_the_extra_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    found = find_models()
    assert isinstance(found, Missing)
    assert "pip install" in found.reason


DAMAGE = {
    "no library": ("lib/libtensorflowlite_c.so", None),
    "a library of another machine": ("lib/libtensorflowlite_c.so", b"\x7fELF"),
    "no model": ("models/embedding_model.tflite", None),
    "a model that is none": ("models/melspectrogram.tflite", b"what"),
}


@pytest.mark.parametrize(("name", "content"), DAMAGE.values(), ids=DAMAGE)
def test_a_package_that_is_damaged_is_an_error_that_names_the_file(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    need_speech()
    folder = find_models()
    assert not isinstance(folder, Missing)
    for sub in ("lib", "models"):
        (tmp_path / sub).mkdir()
        for file in (folder / sub).iterdir():
            (tmp_path / sub / file.name).symlink_to(file)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=name.split("/")[content is not None].replace(".", r"\.")):
        Embedder(tmp_path)
