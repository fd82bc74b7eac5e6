"""Which file a cue is: a maker's goes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.announce.cues import MANNERS, Cue, Saying
from resources.announce.files import ENDINGS, PACKAGED, SoundFiles, choose_language
from resources.announce.settings import Language

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MAKERS_LIMIT = 2_097_152

PROMPT = Saying(Cue.LOCKED, spoken=True, gain=0.0)
TONE = Saying(Cue.LISTEN, spoken=False, gain=0.0)


@pytest.mark.parametrize(
    ("wanted", "environment", "chosen"),
    [
        ("auto", {}, "zh"),
        ("auto", {"LANG": "C.UTF-8"}, "zh"),
        ("auto", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("auto", {"LANG": "ZH_TW"}, "zh"),
        ("auto", {"LANG": "en_GB.UTF-8"}, "en"),
        ("auto", {"LANG": "de_DE.UTF-8@euro"}, "en"),
        ("auto", {"LANG": "en_US", "LC_MESSAGES": "zh_CN"}, "zh"),
        ("auto", {"LC_ALL": "en_US", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ("auto", {"LC_ALL": "", "LANG": "en_US"}, "en"),
        ("zh", {"LANG": "en_US"}, "zh"),
        ("en", {"LANG": "zh_CN"}, "en"),
    ],
)
def test_the_language(wanted: str, environment: dict[str, str], chosen: str) -> None:
    assert choose_language(Language(wanted), environment) == chosen


@pytest.mark.parametrize("language", [Language.CHINESE, Language.ENGLISH])
def test_every_cue_has_a_packaged_file(language: Language, tmp_path: Path) -> None:
    files = SoundFiles(tmp_path / "none", language)
    for cue, manner in MANNERS.items():
        path = files.find(Saying(cue, spoken=manner.spoken, gain=0.0))
        assert path.is_file()
        assert path.is_relative_to(PACKAGED)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("folder", ["zh", "."])
def test_a_makers_file_goes_first(tmp_path: Path, ending: str, folder: str) -> None:
    mine = tmp_path / folder / f"locked{ending}"
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"sound")
    assert SoundFiles(tmp_path, Language.CHINESE).find(PROMPT) == mine
    tone = tmp_path / "tones" / f"listen{ending}"
    tone.parent.mkdir()
    tone.write_bytes(b"sound")
    assert SoundFiles(tmp_path, Language.CHINESE).find(TONE) == tone


def test_a_makers_file_in_the_language_goes_before_one_for_all(tmp_path: Path) -> None:
    (tmp_path / "zh").mkdir()
    for path in (tmp_path / "zh" / "locked.wav", tmp_path / "locked.opus"):
        path.write_bytes(b"sound")
    assert SoundFiles(tmp_path, Language.CHINESE).find(PROMPT).parent.name == "zh"
    assert SoundFiles(tmp_path, Language.ENGLISH).find(PROMPT) == tmp_path / "locked.opus"


def test_a_makers_file_that_is_no_sound_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "locked.opus").write_bytes(b"")
    (tmp_path / "locked.ogg").mkdir()
    (tmp_path / "locked.flac").symlink_to(tmp_path / "gone")
    with (tmp_path / "locked.wav").open("wb") as endless:
        endless.truncate(MAKERS_LIMIT + 1)
    assert SoundFiles(tmp_path, Language.CHINESE).find(PROMPT).is_relative_to(PACKAGED)
