"""How a twin speaks, with one fault by the name of a check."""

from __future__ import annotations

import asyncio
import functools
import math
from array import array
from base64 import b64encode
from typing import TYPE_CHECKING

from audio.speex import SpeexEncoder
from wire.voice import HeaderStyle, pack_frame

if TYPE_CHECKING:
    from tests.staging.advise.twins import Twin

RATE, FRAME = 8000, 160
# Seconds of silence, of speech, and of silence again.
LENGTHS = {"": (0.2, 1.5, 0.3), "voice.silence": (1.4, 1.5, 0.3)}
# Of full scale: -20 dB, one that nobody understands, and one far beyond full scale.
GAINS = {"": 0.14, "voice.loudness": 0.003, "voice.clipping": 2.0}


@functools.cache
def frames(variant: str) -> list[bytes]:
    """Return the frames of a hum that sounds like a voice."""
    before, spoken, after = LENGTHS.get(variant, LENGTHS[""])
    gain = GAINS.get(variant, GAINS[""])
    samples = array("h", bytes(2 * round(before * RATE)))
    for at in range(round(spoken * RATE)):
        wave = sum(math.sin(2 * math.pi * 180 * n * at / RATE) / n for n in range(1, 6))
        swell = 0.7 + 0.3 * math.sin(2 * math.pi * 4 * at / RATE)
        samples.append(max(-32768, min(32767, round(32767 * gain * wave * swell))))
    samples.extend(array("h", bytes(2 * round(after * RATE))))
    with SpeexEncoder(RATE) as encoder:
        return [
            encoder.encode(samples[at : at + FRAME].tobytes())
            for at in range(0, len(samples) - FRAME + 1, FRAME)
        ]


class Voice:
    """The voice of one twin."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.id = 20000

    def bad(self, check: str) -> bool:
        return self.twin.bad(check)

    def bad_here(self, check: str) -> bool:
        """Whether the twin has this fault, where nothing is cut: there another check would find it too."""
        return self.twin.bad_in("speak", check)

    async def speak(self) -> bool:
        """Hear somebody who speaks for two seconds."""
        await asyncio.sleep(3.5 if self.bad("voice.first") else 0.5)
        if self.bad("deaf") or not (self.twin.values["microphone"] or self.bad("voice.muted")):
            await asyncio.sleep(2)
            return True
        self.id += 0 if self.bad_here("voice.next-id") and self.id > 20000 else 1
        session = self.twin.session
        pieces = self.pieces()
        for number, piece in enumerate(pieces):
            await asyncio.sleep(0.01 if self.bad("voice.live") else 0.3)
            if session is None or session.over or self.twin.session is not session:
                if self.bad("voice.cut"):
                    await self.late(pieces[number:])
                self.id -= self.bad("voice.after-cut")
                return True
            self.twin.tell_live(self.key, piece)
        return True

    async def late(self, pieces: list[dict[str, object]]) -> None:
        """Send the rest on the next connection."""
        while (
            self.twin.session is None or not self.twin.session.registered or self.twin.session.over
        ):
            await asyncio.sleep(0.5)
        for piece in pieces:
            self.twin.tell_live(self.key, piece)

    @property
    def key(self) -> str:
        return "duer_voice" if self.bad("voice.headers") else "voice_control"

    def pieces(self) -> list[dict[str, object]]:
        found = frames(self.twin.fault if self.twin.fault.startswith("voice.") else "")
        if self.bad("voice.frames"):
            found = [frame[:20] for frame in found]
        each = 16 if self.bad("voice.size") else 15
        packed = [pack_frame(frame, HeaderStyle.LENGTH32, RATE) for frame in found]
        groups = [b"".join(packed[at : at + each]) for at in range(0, len(packed), each)]
        made = [self.segment(number, group) for number, group in enumerate(groups)]
        if not self.bad_here("voice.eof"):
            made.append(self.segment(len(made), b""))
        return made

    def segment(self, number: int, data: bytes) -> dict[str, object]:
        value: dict[str, object] = {
            "id": self.id, "segment": number, "rate": RATE, "channel": 1, "eof": 0 if data else 1,
        }  # fmt: skip
        if data:
            value["voice_data"] = b64encode(data).decode()
        if self.bad_here("voice.id") and number == 1:
            value["id"] = 55555
        if self.bad_here("voice.numbering"):
            value["segment"] = number + 1
        if self.bad_here("voice.rate") and number == 1:
            value["rate"] = 16000
        if self.bad_here("voice.form") and number == 1:
            del value["channel"]
        return value
