"""Speex encoding and decoding with libspeex (Debian's libspeex1) through ctypes.

An encoder or decoder holds the state of one utterance. Samples are native-endian signed 16-bit
mono PCM as bytes. Structures and request numbers are those of libspeex 1.2 (speex.h, speex_bits.h).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Self

from audio.errors import SpeexDecodeError, SpeexUnavailableError
from audio.pcm import SAMPLE_BYTES, SPEEX_RATES
from audio.speex_layers import is_odd

# 20 ms at either rate; `wire.voice` has the same fact for the wire, and a test compares the two.
FRAME_SECONDS = 0.020
# Narrowband quality 8 gives the document's 38-byte frames.
DEFAULT_QUALITY = 8
# Complexity 3 of 10 takes 0.3 % of a desktop core; more costs CPU on a Pi without audible gain.
DEFAULT_COMPLEXITY = 3
QUALITY_MAX = 10
_MAX_FRAME_BYTES = 256
# The soname, because ctypes.util.find_library runs ldconfig or a compiler (0.1 s and more).
_SONAME = "libspeex.so.1"

_SET_ENH, _SET_QUALITY, _SET_COMPLEXITY = 0, 4, 16
_MODE_IDS = {8000: 0, 16000: 1}


class _Bits(ctypes.Structure):
    _fields_ = (
        ("chars", ctypes.c_char_p),
        ("nbBits", ctypes.c_int),
        ("charPtr", ctypes.c_int),
        ("bitPtr", ctypes.c_int),
        ("owner", ctypes.c_int),
        ("overflow", ctypes.c_int),
        ("buf_size", ctypes.c_int),
        ("reserved1", ctypes.c_int),
        ("reserved2", ctypes.c_void_p),
    )


def frame_samples(rate: int) -> int:
    """Return the samples in one 20 ms frame: 160 at 8 kHz, 320 at 16 kHz."""
    return round(rate * FRAME_SECONDS)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError as error:
        raise SpeexUnavailableError(
            "libspeex is missing: install Debian's package libspeex1"
        ) from error
    library.speex_lib_get_mode.restype = ctypes.c_void_p
    for init in (library.speex_encoder_init, library.speex_decoder_init):
        init.restype, init.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    for end in (library.speex_encoder_destroy, library.speex_decoder_destroy):
        end.argtypes = [ctypes.c_void_p]
    for control in (library.speex_encoder_ctl, library.speex_decoder_ctl):
        control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    library.speex_encode_int.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.speex_decode_int.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return library


class _Codec:
    """Base of encoder and decoder: the library handle, the bit buffer and the codec state."""

    def __init__(self, rate: int, kind: str) -> None:
        if rate not in SPEEX_RATES:
            raise ValueError(f"rate: got {rate}, expected 8000 or 16000")
        self._lib = _library()
        self._destroy = getattr(self._lib, f"speex_{kind}_destroy")
        self._control = getattr(self._lib, f"speex_{kind}_ctl")
        self._bits = _Bits()
        self._lib.speex_bits_init(ctypes.byref(self._bits))
        mode = self._lib.speex_lib_get_mode(_MODE_IDS[rate])
        self._state: int | None = getattr(self._lib, f"speex_{kind}_init")(mode)
        self.frame_bytes = frame_samples(rate) * SAMPLE_BYTES

    def _set(self, request: int, value: int) -> None:
        self._control(self._state, request, ctypes.byref(ctypes.c_int(value)))

    def close(self) -> None:
        """Free libspeex's state. Further calls do nothing."""
        if self._state is not None:
            self._destroy(self._state)
            self._lib.speex_bits_destroy(ctypes.byref(self._bits))
            self._state = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:
            self.close()


class SpeexEncoder(_Codec):
    """Encodes one 20 ms frame at a time."""

    def __init__(
        self, rate: int, quality: int = DEFAULT_QUALITY, complexity: int = DEFAULT_COMPLEXITY
    ) -> None:
        """Encode at ``rate`` samples/s (8000 or 16000), ``quality`` 0-10, ``complexity`` 1-10."""
        if not 0 <= quality <= QUALITY_MAX:
            raise ValueError(f"quality: got {quality}, expected 0 to {QUALITY_MAX}")
        super().__init__(rate, "encoder")
        self._set(_SET_QUALITY, quality)
        self._set(_SET_COMPLEXITY, complexity)

    def encode(self, samples: bytes) -> bytes:
        """Encode exactly one frame of samples; raises ValueError for any other length."""
        if len(samples) != self.frame_bytes:
            raise ValueError(f"samples: got {len(samples)} bytes, expected {self.frame_bytes}")
        # libspeex modifies the input buffer, so it gets a copy.
        buffer = ctypes.create_string_buffer(samples, self.frame_bytes)
        bits = ctypes.byref(self._bits)
        self._lib.speex_bits_reset(bits)
        self._lib.speex_encode_int(self._state, buffer, bits)
        out = ctypes.create_string_buffer(_MAX_FRAME_BYTES)
        size = self._lib.speex_bits_write(bits, out, _MAX_FRAME_BYTES)
        return out.raw[:size]


class SpeexDecoder(_Codec):
    """Decodes one 20 ms frame at a time."""

    def __init__(self, rate: int) -> None:
        """Decode at ``rate`` samples/s: 8000 (narrowband) or 16000 (wideband)."""
        super().__init__(rate, "decoder")
        self._set(_SET_ENH, 1)
        self._is_wide = _MODE_IDS[rate] > 0

    def decode(self, frame: bytes) -> bytes:
        """Return the frame's 20 ms of samples; raises SpeexDecodeError if it is corrupt."""
        if is_odd(frame, wideband=self._is_wide):
            # The library would print that, for as many frames as somebody sends.
            raise SpeexDecodeError(f"a frame of {len(frame)} bytes has layers that there are not")
        bits = ctypes.byref(self._bits)
        self._lib.speex_bits_read_from(bits, frame, len(frame))
        out = ctypes.create_string_buffer(self.frame_bytes)
        result = self._lib.speex_decode_int(self._state, bits, out)
        # -1 is "end of stream": the frame holds no speech; -2 is "corrupt".
        if result != 0 or self._lib.speex_bits_remaining(bits) < 0:
            raise SpeexDecodeError(f"libspeex cannot decode a frame of {len(frame)} bytes")
        return out.raw
