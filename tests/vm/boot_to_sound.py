"""From power to a story in seconds that do not depend on this host: a step of the card image's proof.

QEMU counts the guest's instructions, a thousand million of them to the second (`tests.vm.card`). So a busy host makes the
step longer and the processor's seconds not, which a plain emulation would. The card's seconds are the host's, and count
where nothing else runs. Not in them: the Pi's firmware before Linux.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.vm.twin import MEDIA, REGISTERED, STEP_SECONDS, TONE, Proof

# Some instructions of the guest take the host a hundred of its own.
COUNTED_SECONDS = 3600.0
POLL_SECONDS = 0.05
STARTED = re.compile(r"agent \S+ started, device")
_HAS_TONE = f"[ -e {MEDIA}/tone.wav ] || {TONE}"
# Until the sound card's clock runs, and then the time at which it began to, since Linux was started (ALSA's monotonic stamps).
_SOUNDING = "until grep -qs 'state: RUNNING' /proc/asound/card*/pcm*p/sub*/status; do sleep 0.1; done; cat /proc/asound/card*/pcm*p/sub*/status"
# Sectors of 512 bytes (the kernel's iostats).
_READ = 'awk \'$3 == "vda" {print int($6 / 2048), "MiB read"}\' /proc/diskstats'
_SHARES = "systemd-analyze; systemd-analyze --no-pager critical-chain story-agent.service; systemd-analyze --no-pager blame | head -25"
_LINES = "journalctl -b -o short-monotonic -u story-agent --no-pager | head -40"


def boot_to_sound(proof: Proof) -> str:
    """Restart it with a clock that counts; play as soon as the agent takes orders, as the button would."""
    if not proof.card.has_ended:
        proof.card.ask(_HAS_TONE, STEP_SECONDS)
        proof.card.restart()
        proof.wait("restart", lambda: proof.card.wants_restart or None, STEP_SECONDS)
    begin = time.monotonic()
    proof.card.start(counted=True)
    _watch(proof, lambda: bool(STARTED.search(proof.card.serial())))
    said = proof.card.ask(
        f"{_HAS_TONE}; story-agent set play tone; {_SOUNDING}; {_READ}", COUNTED_SECONDS
    )
    proof.expect("the player", said, "state: RUNNING")
    sound = trigger_seconds(said)
    _watch(proof, lambda: REGISTERED in proof.card.serial())
    text = proof.card.ask(f"{_SHARES}; {_LINES}", COUNTED_SECONDS)
    (proof.bench.folder / "boot-to-sound.txt").write_text(text)
    ready = int(proof.card.ask("systemctl show -P ActiveEnterTimestampMonotonic story-agent", COUNTED_SECONDS)) / 1e6  # fmt: skip
    loudest = proof.wait("sound", lambda: it if (it := proof.card.loudness()) > 100 else None, STEP_SECONDS)  # fmt: skip
    proof.card.cut_power()
    return f"agent ready {ready:.1f} s, story from the card {sound:.1f} s (loudest sample {loudest}), {said.splitlines()[-1]} of the card; {text.splitlines()[0]}; host {time.monotonic() - begin:.0f} s"  # fmt: skip


def trigger_seconds(status: str) -> float:
    """Return when the sound card that runs began to, in the seconds of the guest, from ALSA's status file."""
    running = status[status.index("state: RUNNING") :]
    found = re.search(r"trigger_time: (\d+\.\d+)", running)
    if found is None:
        raise ValueError(f"no trigger_time in {running[:300]!r}")
    return float(found[1])


def _watch(proof: Proof, look: Callable[[], bool]) -> None:
    """Wait closely: the guest's clock goes on meanwhile."""
    end = time.monotonic() + COUNTED_SECONDS
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"the start took more than {COUNTED_SECONDS:g} s: {proof.card.serial()[-800:]}")  # fmt: skip
        time.sleep(POLL_SECONDS)
