"""The services of the twin: the player's, heard after a restart and after kill -9, and what systemd says that each may."""

from __future__ import annotations

import base64
from pathlib import Path

from tests import booted
from tests.vm.twin import MEDIA, STEP_SECONDS, Proof

CLOUD = Path(__file__).parents[2] / "systemd/deb/story-cloud/story-cloud.service"
# Louder than a sound card's own noise, of 32767.
HEARD = 100
# Bytes of the sound card's: what mpv had given it before it was killed, a second at 48 kHz in stereo.
PENDING = 192_000
# Ten minutes: the emulation takes several for what follows its order.
STORY = (
    "python3 -c \"import math,struct,wave; w=wave.open('" + MEDIA + "/long.wav','wb'); w.setnchannels(1); w.setsampwidth(2);"
    " w.setframerate(16000); second=b''.join(struct.pack('<h', int(9000*math.sin(i*math.pi/20))) for i in range(16000));"
    ' [w.writeframes(second) for _ in range(600)]"; sync'
)  # fmt: skip


def player(proof: Proof) -> str:
    """Restart; a story is heard, from the unit's own user, who can write and owns nothing; kill -9, and it is heard again."""
    card = proof.card
    card.ask(STORY, STEP_SECONDS)
    card.restart()
    proof.wait("restart", lambda: card.wants_restart or None, STEP_SECONDS)
    proof.register()
    proof.order("volume", "12")
    proof.order("play", "long")
    first = proof.wait("sound", lambda: _louder(proof, 0), STEP_SECONDS)
    proof.expect("the player", card.ask("story-agent status"), "mpv of story-player.socket")
    found, pid = booted.players_rights(_patient(proof)), booted.player(card.ask)
    card.ask(f"kill -9 {pid}")
    other = proof.wait("another player", lambda: _another(proof, pid), STEP_SECONDS)
    since = card.heard_bytes + PENDING
    again = proof.wait("sound of the other", lambda: _louder(proof, since), STEP_SECONDS)
    proof.order("play", "停止")
    return f"after a restart loudest sample {first} of 32767; {found}; killed: process {other} for {pid}, loudest sample {again}"


def exposure(proof: Proof) -> str:
    """Let the booted systemd say how exposed each service is; the cloud's unit is put beside the others for it."""
    ask = _patient(proof)
    unit = base64.b64encode(CLOUD.read_bytes()).decode()
    ask(f"echo {unit} | base64 -d >/run/systemd/system/story-cloud.service; systemctl daemon-reload")  # fmt: skip
    # The package's restart is masked: an image has no package manager.
    listed = "systemctl list-unit-files --no-legend --plain 'story-*.service'"
    cards = ask(f"{listed} | grep -v -e masked -e @ -e story-cloud | awk '{{print $1}}'").split()
    return booted.exposure(ask, *cards, "story-player@1.service", "story-cloud.service")


def _patient(proof: Proof) -> booted.Ask:
    return lambda command: proof.card.ask(command, STEP_SECONDS)


def _louder(proof: Proof, since: int) -> int | None:
    loudest = proof.card.loudness(since)
    return loudest if loudest > HEARD else None


def _another(proof: Proof, pid: int) -> int | None:
    now = booted.player(proof.card.ask)
    return now if now not in {0, pid} else None
