"""What the real model hears: sentences that espeak-ng says, as a device's segments, in the recogniser's own process.

No clock decides: the model may take as long as it takes on a busy machine. How a device's segments come to a cloud, and what the
cloud asks of a device, is in test_path.py and tests/agent/voice; how much is understood of how many, in docs/recognition.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from audio.pcm import Pcm
from audio.speex import SpeexEncoder
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.gateway.reports import decide
from staging.recognition import model
from staging.recognition.model import SHA256, join_model, model_folder
from staging.recognition.recogniser import Deadlines, Recogniser
from staging.recognition.service import Recognition
from staging.recognition.title_lists import TitleLists
from staging.store import Database
from tests.staging.recognition import speech
from tests.staging.recognition.conftest import UUID
from tools.speech import sound_of
from wire.voice import HeaderStyle, Segmenter

# Only turns a hang into a failure: here the model is loaded in 2 s, and a sentence takes one.
PATIENCE = 800.0
one_model = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recogniser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recogniser]:
    with pytest.MonkeyPatch.context() as patch:
        speech.need_packages(patch)
    speech.need_voice()
    made = Recogniser(
        tmp_path_factory.mktemp("models"),
        command=speech.WORKER,
        deadlines=Deadlines(PATIENCE, PATIENCE, PATIENCE),
    )
    yield made
    await made.close()


def reports_of(sound: Pcm, number: int) -> list[dict[str, object]]:
    """Return what a device reports that hears ``sound``."""
    segmenter = Segmenter(number, sound.rate, HeaderStyle.SPX)
    samples, segments = sound.samples, []
    with SpeexEncoder(sound.rate) as encoder:
        for at in range(0, len(samples), encoder.frame_bytes):
            frame = samples[at : at + encoder.frame_bytes].ljust(encoder.frame_bytes, b"\0")
            segments.append(segmenter.add(encoder.encode(frame)))
    whole = [*filter(None, segments), *segmenter.finish()]
    return [{"duer_voice": segment.to_json()} for segment in whole]


class Machine:
    """A device that does whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def control(self, _uuid: str, name: str, method: str, value: str) -> tuple[str, str]:
        self.asked.append((method, name, value))
        return "2.04", ""


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def recognition(
    database: Database, data: DataDir, machine: Machine, recogniser: Recogniser
) -> Recognition:
    TitleLists(data.root).set(speech.TITLES, uuid=UUID)
    return Recognition(database, machine.control, data, recogniser, monotonic=lambda: 0.0)


async def hear(recognition: Recognition, sound: Pcm, number: int = 10_000) -> dict[str, object]:
    """Have the cloud hear it; return the outcome."""
    for report in reports_of(sound, number):
        recognition.collect(UUID, decide(UUID, report))
    await recognition._work_on(*recognition._queue.get_nowait())
    return recognition.outcomes.recent(UUID, limit=1)[0]


@one_model
@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize(
    ("rate", "sentence", "content"),
    [
        (16000, "播放两只老虎", "播放两只老虎"), (16000, "下一首", "下一首"), (16000, "暂停播放", "暂停"),
        (8000, "播放小兔子乖乖", "播放小兔子乖乖"), (8000, "下一首", "下一首"),
    ],
)  # fmt: skip
async def test_a_spoken_sentence_asks_the_device(
    recognition: Recognition, machine: Machine, rate: int, sentence: str, content: str
) -> None:
    outcome = await hear(recognition, sound_of(sentence, rate))
    assert (outcome["error"], machine.asked) == (None, [("PUT", "play", content)])
    assert (outcome["done"], outcome["source"], outcome["text"]) == (True, "voice", sentence)


@one_model
@pytest.mark.timeout(PATIENCE)
async def test_talk_and_silence_ask_nothing(recognition: Recognition, machine: Machine) -> None:
    for number, sound in enumerate((sound_of("你好今天天气不错", 16000), Pcm(8000, bytes(32000)))):
        outcome = await hear(recognition, sound, 10_000 + number)
        assert (outcome["utterance"], outcome["kind"]) == (10_000 + number, "not_understood")
    assert machine.asked == []


class TestModel:
    @pytest.fixture(autouse=True)
    def packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        speech.need_packages(monkeypatch)

    def test_is_joined_whole_and_once(self, tmp_path: Path) -> None:
        leftover = tmp_path / ".joining-killed"
        leftover.mkdir()
        folder = join_model(tmp_path)
        assert folder == model_folder(tmp_path)
        assert (folder / "model.bin").stat().st_size == 145_217_532
        assert sorted(p.name for p in tmp_path.iterdir()) == [folder.name]
        inode = (folder / "model.bin").stat().st_ino
        join_model(tmp_path)
        assert (folder / "model.bin").stat().st_ino == inode

    def test_a_damaged_package_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model, "SHA256", "0" * len(SHA256))
        with pytest.raises(StagingError, match="the two packages do not make it"):
            join_model(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_does_not_take_it_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StagingError, match="the speech model: Not a directory"):
            join_model(tmp_path / "file" / "models")
