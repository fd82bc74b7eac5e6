"""The seam where a speech model plugs in, and the worker that holds one."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from audio.pcm import Pcm
from audio.wav import render_wav
from staging.errors import StagingError
from staging.recognition.hearing import DEFAULT_MODEL, Hearing, Hypothesis, find_factory
from staging.recognition.model import check_model
from staging.recognition.worker import main, serve

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
WAV_LIMIT = 4_194_304

SOUND = Pcm(16000, bytes(32000))


@pytest.fixture(autouse=True)
def priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the priority of the tests' process as it is: it could not be raised again."""
    monkeypatch.setattr("staging.recognition.worker.os.nice", lambda _by: 0)


class Stub:
    """Hears one text, and scores phrases by their length."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.heard: list[Pcm] = []

    def hear(self, sound: Pcm) -> Hearing:
        self.heard.append(sound)
        if sound.rate != SOUND.rate:
            raise ValueError("this model hears 16 kHz")
        return Hearing((Hypothesis("下一首", -0.25),), 0.1234)

    def score(self, phrases: Sequence[str]) -> list[float] | None:
        return [float(len(phrase)) for phrase in phrases] if "" not in phrases else None


def test_a_model_is_named_by_its_module_and_factory() -> None:
    assert str(find_factory("pathlib:Path")(Path("a"))) == "a"
    assert find_factory(DEFAULT_MODEL).__name__ == "load"


@pytest.mark.parametrize("name", ["", "module", ":f", "no_such_module:f", "pathlib:no", "math:pi"])
def test_a_name_of_none_is_one_line(name: str) -> None:
    with pytest.raises(StagingError, match="recogniser"):
        find_factory(name)


@pytest.mark.parametrize(
    "name", ["", "module", ":f", "json:", "json:a:b", "json:a b", "no_such_module:f", "a..b:f"]
)
def test_serve_checks_the_name_before_it_starts(name: str) -> None:
    with pytest.raises(StagingError, match="expected MODULE:FACTORY of an installed module"):
        check_model(name)
    check_model("json:loads")
    with pytest.raises(StagingError, match=r"^--recogniser json:no_such: module 'json' has no"):
        check_model("json:no_such")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("staging.errors:StagingError", "recogniser staging.errors:StagingError: StagingError has no hear and no score"),
        ("tests.staging.recognition.test_hearing:divide", "by zero"),
    ],
)  # fmt: skip
def test_a_factory_that_makes_no_model_is_told(
    capfd: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    assert main(["cache", name]) == 1
    assert json.loads(capfd.readouterr().out)["error"].endswith(reason)


def divide(_cache: Path) -> object:
    return 1 // 0


def test_the_worker_serves_any_model() -> None:
    model, wav = Stub(Path("cache")), render_wav(SOUND)
    rest = io.BytesIO(wav + b"next")
    assert serve(model, {"bytes": len(wav)}, rest) == {
        "hypotheses": [["下一首", -0.25]], "silence": 0.123,
    }  # fmt: skip
    assert rest.read() == b"next"
    assert model.heard == [SOUND]
    assert serve(model, {"score": ["停止", "下一首"]}, rest) == {"scores": [2.0, 3.0]}
    assert serve(model, {"score": [""]}, rest) == {"scores": None}


@pytest.mark.parametrize("size", [0, -1, WAV_LIMIT + 1, "x", None])
def test_a_bad_request_is_an_answer(size: object) -> None:
    answer = serve(Stub(Path("cache")), {"bytes": size}, io.BytesIO(b""))
    assert str(answer["error"]).startswith(f"ValueError: bytes: got {size}")


def test_a_failure_of_the_model_costs_one_utterance() -> None:
    wav = render_wav(Pcm(8000, bytes(16000)))
    rest = io.BytesIO(wav + b"next")
    answer = serve(Stub(Path("cache")), {"bytes": len(wav)}, rest)
    assert answer == {"error": "ValueError: this model hears 16 kHz"}
    assert rest.read() == b"next"
