"""What is asked of a booted system, the card's twin or a container: how exposed its services are, and what its player may.

``ask`` runs a shell's words as root in that system and returns what they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Ask = Callable[[str], str]
# Of 10: the contract's, also of `tests.systemd.test_units`.
EXPOSURE = 1.7
MEDIA = "/var/lib/story-agent/media"
# All that a program could write, but the kernel's own trees.
PLACES = "/boot /data /etc /home /media /mnt /opt /root /run /srv /tmp /usr /var"
_LEVEL = re.compile(r"Overall exposure level for (\S+?)(?:@[^.]*)?\.service: ([\d.]+)")
_OWN = re.compile(
    r"(/tmp|/var/tmp)(/(systemd-private-\w+-story-player\S*|tmp|pulse-\w+|\.\S*)(/\S*)?)?"
)
_PLAYERS = (
    "systemctl list-units --plain --no-legend 'story-player@*.service' | awk '{print $1}' | head -1"
)


class FoundError(Exception):
    """The system is not as it should be; the message says what was found."""


def levels(said: str) -> dict[str, float]:
    """Return each service's level of exposure (0..10) of what ``systemd-analyze security`` says last."""
    return {name: float(level) for name, level in _LEVEL.findall(said)}


def exposure(ask: Ask, *units: str) -> str:
    """Let the system say how exposed each unit is; raises FoundError for one that is more than the contract says."""
    said = ask(f"for unit in {' '.join(units)}; do systemd-analyze --no-pager security $unit | tail -n 1; done")  # fmt: skip
    found = levels(said)
    wanted = {re.sub(r"(@[^.]*)?\.service$", "", unit) for unit in units}
    if wanted != set(found):
        raise FoundError(f"levels of {sorted(found)}, expected {sorted(wanted)}: {said[:600]}")
    if wrong := {name: level for name, level in found.items() if level > EXPOSURE}:
        raise FoundError(f"more exposed than {EXPOSURE}: {wrong}")
    return ", ".join(f"{name} {level}" for name, level in sorted(found.items()))


def player(ask: Ask) -> int:
    """Return the id of the player's process in its unit, 0 while none runs."""
    found = ask(f"unit=$({_PLAYERS}); [ -z $unit ] || systemctl show -P MainPID $unit").strip()
    return int(found) if found.isdigit() else 0


def players_rights(ask: Ask) -> str:
    """Look at whom the player that runs is, what it owns and what it could write; raises FoundError."""
    pid = player(ask)
    _expect("its user", ask(f"stat -c %U /proc/{pid}"), "story-player")
    _expect("its program", ask(f"cat /proc/{pid}/comm"), "mpv")
    said = ask(f"grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/{pid}/status").split()
    _expect("its rights", " ".join(said), "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2")
    if wrong := strange(ask(f"find {PLACES} -user story-player 2>/dev/null; true").split()):
        raise FoundError(f"story-player owns {wrong[:20]}")
    # With the unit's groups, which /etc/group does not have, and in the unit's own view of the files.
    groups = ",".join(ask(f"grep ^Groups: /proc/{pid}/status").split()[1:])
    enter = f"nsenter --mount --target {pid} setpriv --reuid=story-player --regid=story-player --groups={groups}"
    _expect("its story", ask(f"{enter} sh -c 'head -c 4 {MEDIA}/*.wav'"), "RIFF")
    # What everybody's programs listen at is not the agent's.
    kinds = "-type f -o -type d -o -type s '(' -user story-agent -o -group story-agent ')'"
    writable = ask(f"{enter} find {PLACES} '(' {kinds} ')' -writable 2>/dev/null; true").split()
    if wrong := strange(writable):
        raise FoundError(f"story-player could write {wrong[:20]}")
    return "story-player, without rights, reads the story, owns nothing and could write nothing but its own /tmp"


def strange(paths: Iterable[str]) -> list[str]:
    """Return what is no temporary folder of the player's unit, of some paths that it owns or could write."""
    return [path for path in paths if not _OWN.fullmatch(path)]


def _expect(what: str, found: str, expected: str) -> None:
    if expected not in found:
        raise FoundError(f"{what}: {found[:600]!r}, expected {expected!r}")
