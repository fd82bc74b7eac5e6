"""The services of a booted twin: the player's, heard and looked at, and what systemd says that each may (`tests.vm.image_proof`)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from pathlib import Path

from tests.vm.twin import MEDIA, STEP_SECONDS, Proof, ProofError

SYSTEMD = Path(__file__).parents[2] / "systemd"
# The contract's, also of `tests.systemd.test_units`.
EXPOSURE = 1.7
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
_INSTANCE = (
    "systemctl list-units --plain --no-legend 'story-player@*.service' | awk '{print $1}' | head -1"
)
_LEVEL = re.compile(r"Overall exposure level for (\S+?)(?:@[^.]*)?(?:\.service)?: ([\d.]+)")
# All that a program could write, and the kernel's own trees.
PLACES = "/boot /data /etc /home /media /mnt /opt /root /run /srv /tmp /usr /var"


def player(proof: Proof) -> str:
    """Restart; a story is heard, from the unit's own user, who can write and owns nothing; kill -9, and it is heard again."""
    card = proof.card
    card.ask(f"{STORY}; echo made", STEP_SECONDS)
    card.restart()
    proof.wait("restart", lambda: card.wants_restart or None, STEP_SECONDS)
    proof.register()
    proof.order("volume", "12")
    proof.order("play", "long")
    first = proof.wait("sound", lambda: _louder(proof, 0), STEP_SECONDS)
    proof.expect("the player", card.ask("story-agent get player; story-agent status"), "mpv of story-player.socket")  # fmt: skip
    pid = process(proof)
    found = look(proof, pid)
    card.ask(f"kill -9 {pid}")
    after = proof.wait("another player", lambda: _another(proof, pid), STEP_SECONDS)
    since = card.heard_bytes + PENDING
    again = proof.wait("sound of the other", lambda: _louder(proof, since), STEP_SECONDS)
    proof.order("play", "停止")
    return f"after a restart loudest sample {first} of 32767; {found}; killed, process {after} for {pid}, loudest sample {again}"


def _louder(proof: Proof, since: int) -> int | None:
    loudest = proof.card.loudness(since)
    return loudest if loudest > HEARD else None


def process(proof: Proof) -> int:
    """Return the id of the player's process, 0 while none runs."""
    found = proof.card.ask(f"systemctl show -P MainPID $({_INSTANCE})")
    return int(found) if found.isdigit() else 0


def _another(proof: Proof, pid: int) -> int | None:
    now = process(proof)
    return now if now not in {0, pid} else None


def look(proof: Proof, pid: int) -> str:
    """Look at whom the player runs as, what it owns and what it could write; raises ProofError."""
    ask = proof.card.ask
    proof.expect("its user", ask(f"stat -c %U /proc/{pid}"), "story-player")
    proof.expect("its program", ask(f"cat /proc/{pid}/comm"), "mpv")
    said = ask(f"grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/{pid}/status").split()
    proof.expect("its rights", " ".join(said), "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2")
    owned = ask(f"find {PLACES} -user story-player 2>/dev/null", STEP_SECONDS).split()
    if wrong := strange(owned):
        raise ProofError(f"story-player owns {wrong}")
    # With the unit's groups, which /etc/group does not have, and in the unit's own view of the files.
    groups = ask(f"grep ^Groups: /proc/{pid}/status").split()[1:]
    enter = f"nsenter --mount --target {pid} setpriv --reuid=story-player --regid=story-player --groups={','.join(groups)}"
    writable = ask(f"{enter} find {PLACES} ! -type l -writable 2>/dev/null", STEP_SECONDS).split()
    if wrong := strange(writable):
        raise ProofError(f"story-player could write {wrong}")
    ask(f"{enter} cat {MEDIA}/long.wav >/dev/null && echo it reads")
    return "as story-player, without rights, owns and could write nothing but its own /tmp"


def strange(paths: Iterable[str]) -> list[str]:
    """Return what is no temporary folder of the player's unit, of some paths that it owns or could write."""
    own = re.compile(
        r"(/tmp|/var/tmp)(/(systemd-private-\w+-story-player\S*|tmp|pulse-\w+|\.\S*)(/\S*)?)?"
    )
    return [path for path in paths if not own.fullmatch(path)]


def exposure(proof: Proof) -> str:
    """Let the booted systemd say how exposed each service is; the cloud's unit is put beside the others for it."""
    ask = proof.card.ask
    unit = base64.b64encode((SYSTEMD / "deb/story-cloud/story-cloud.service").read_bytes()).decode()
    ask(f"echo {unit} | base64 -d >/run/systemd/system/story-cloud.service; systemctl daemon-reload", STEP_SECONDS)  # fmt: skip
    names = ask("cd /usr/lib/systemd/system; ls story-*.service | grep -v @; echo story-cloud.service story-player@1.service").split()  # fmt: skip
    said = ask(f"for unit in {' '.join(names)}; do systemd-analyze --no-pager security $unit | tail -1; done", STEP_SECONDS)  # fmt: skip
    found = levels(said)
    (proof.bench.folder / "exposure.txt").write_text(said)
    if missing := {"story-agent", "story-player", "story-cloud"} - set(found):
        raise ProofError(f"no level of {sorted(missing)}: {said[:600]}")
    if wrong := {name: level for name, level in found.items() if level > EXPOSURE}:
        raise ProofError(f"more exposed than {EXPOSURE}: {wrong}")
    return ", ".join(f"{name} {level}" for name, level in sorted(found.items()))


def levels(said: str) -> dict[str, float]:
    """Return each service's level of exposure (0..10) of what ``systemd-analyze security`` says last."""
    return {name: float(level) for name, level in _LEVEL.findall(said)}
