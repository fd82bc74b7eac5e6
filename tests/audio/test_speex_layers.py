"""What libspeex would print is refused before it, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from audio import speex
from audio.errors import SpeexDecodeError
from audio.speex import SpeexDecoder, SpeexEncoder, frame_samples
from audio.speex_layers import is_odd

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LONGEST_BYTES = 2_000


def beginnings() -> Iterator[bytes]:
    """Every beginning of 12 bits, and noise behind it: all marks, modes, requests and layers that are skipped."""
    source = random.Random(13)
    for head in range(1 << 12):
        yield (head << 4 | source.getrandbits(4)).to_bytes(2, "big") + source.randbytes(
            source.choice((0, 1, 3, 20, 60, 106, 200))
        )


def wide_layers() -> Iterator[bytes]:
    """Each narrowband mode with each wideband layer behind it."""
    source = random.Random(17)
    for mode, bits in enumerate((5, 43, 119, 160, 220, 300, 364, 492, 79)):
        for mark in range(1 << 4):
            body = mode << bits - 5 | source.getrandbits(bits) >> 5
            whole = ((body << 4 | mark) << 400) | source.getrandbits(400)
            count = bits + 404
            yield (whole << -count % 8).to_bytes((count + 7) // 8, "big")


FRAMES = [*beginnings(), *wide_layers(), bytes(LONGEST_BYTES), bytes(LONGEST_BYTES + 1)]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_whatever_comes_the_library_prints_nothing(
    rate: int, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = 0
    with SpeexDecoder(rate) as decoder:
        for frame in FRAMES:
            try:
                decoder.decode(frame)
            except SpeexDecodeError:
                refused += 1
    assert capfd.readouterr() == ("", "")
    assert 0 < refused < len(FRAMES)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_what_is_refused_the_library_refuses_and_prints(
    rate: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its versions differ in what they make of wideband layers before the narrowband one.
    odd = [each for each in FRAMES if is_odd(each, wideband=rate == 16000) and each[0] < 0x80]
    monkeypatch.setattr(speex, "is_odd", lambda *_, **__: False)
    with SpeexDecoder(rate) as decoder:
        for frame in odd[:-1]:
            with pytest.raises(SpeexDecodeError):
                decoder.decode(frame)
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) >= len(odd) - 1 > 100


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("quality", range(11))
def test_no_frame_of_an_encoder_is_refused(rate: int, quality: int) -> None:
    source = random.Random(quality)
    size = frame_samples(rate) * 2
    with SpeexEncoder(rate, quality) as encoder:
        frames = [
            encoder.encode(source.randbytes(size) if n % 2 else bytes(size)) for n in range(8)
        ]
    assert not any(is_odd(frame, wideband=rate == 16000) for frame in frames)
    # A narrowband decoder skips what a wideband frame has more.
    assert not any(is_odd(frame, wideband=False) for frame in frames)
