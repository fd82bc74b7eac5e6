"""What is in each Debian package: its wheels, its programs, and which file of the tree goes where.

A recipe is data. `tools.deb.tree` lays it out, `tools.deb.build` packs it, and
``systemd/deb/NAME`` has its control fields and maintainer scripts (docs/adr/0040).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.locks.groups import closure

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "systemd" / "deb"
# The system's Python of Debian 12 and of Debian 13.
PYTHONS = ("3.11", "3.13")
# Debian's name of an architecture, and Python's.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
UNITS = "usr/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One package.

    Attributes:
        name: its name, which is the folder's below /opt as well.
        wants: the requirements whose closure is bundled, ours first; as pip reads them.
        own: project folders whose wheels are built from this tree.
        programs: commands in /usr/bin, and the function that each calls.
        files: (path in the tree, path in the package).
        left_out: distributions of the closure that are not bundled (docs/adr/0040).
        only: folders of wheels, below the import folder, of which these files alone are packed.
    """

    name: str
    wants: tuple[str, ...]
    own: tuple[Path, ...]
    programs: dict[str, str]
    files: tuple[tuple[str, str], ...]
    left_out: frozenset[str] = frozenset()
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return where its control fields and scripts are."""
        return RECIPES / self.name

    @property
    def opt(self) -> str:
        """Return its folder in the package."""
        return f"opt/{self.name}"

    def bundled(self, python: str, machine: str) -> frozenset[str]:
        """Return the distributions that are bundled for a Python on a machine, by Python's name of it."""
        return closure(self.wants, python, machine) - self.left_out

    def lock(self, python: str) -> Path:
        """Return the file with the pins and hashes of the bundled wheels, for one Python."""
        return RECIPES / "locks" / f"{self.name}-{python}.txt"


AGENT = Recipe(
    "story-agent",
    # All that a setting can turn on: nobody is beside the machine to install more. The microphone is arecord's or
    # parec's: `auto` would take sounddevice before them, which is slower, larger, and needs libportaudio2.
    wants=("story-agent[gpio,mdns,mqtt,oscore,qr,vad,wake]",),
    # numpy is 57 MB for each Python, and the ready English words alone use it, through pymicro-wakeword.
    # colorzero requires setuptools to be built, and imports nothing of it.
    left_out=frozenset({"numpy", "pymicro-features", "pymicro-wakeword", "setuptools"}),
    # Its English words are openWakeWord's, under CC BY-NC-SA 4.0, though the wheel says Apache-2.0: who sells a machine
    # may not ship them. Nothing of ours reads them; a family's word needs these two alone.
    only={"pyopen_wakeword/models": frozenset({"embedding_model.tflite", "melspectrogram.tflite"})},
    own=(ROOT,),
    programs={"story-agent": "agent.entry:main"},
    files=(
        ("systemd/story-agent.service", f"{UNITS}/story-agent.service"),
        ("systemd/story-agent-import.service", f"{UNITS}/story-agent-import.service"),
        ("systemd/deb/story-agent/restart.service", f"{UNITS}/story-agent-restart.service"),
        ("systemd/story-player.socket", f"{UNITS}/story-player.socket"),
        ("systemd/story-player@.service", f"{UNITS}/story-player@.service"),
        ("systemd/story-agent.sysusers", "usr/lib/sysusers.d/story-agent.conf"),
        ("systemd/deb/story-agent/tmpfiles", "usr/lib/tmpfiles.d/story-agent.conf"),
        ("systemd/50-story-agent.rules", "usr/share/polkit-1/rules.d/50-story-agent.rules"),
        ("systemd/60-story-light.rules", "usr/lib/udev/rules.d/60-story-light.rules"),
        ("systemd/deb/story-agent/agent.toml", "usr/share/story-agent/agent.toml"),
        ("README.md", "usr/share/doc/story-agent/README.md"),
        ("README.zh-CN.md", "usr/share/doc/story-agent/README.zh-CN.md"),
        ("systemd/story-agent-light.conf", "usr/share/doc/story-agent/examples/light.conf"),
        *(
            (f"systemd/rauc/{name}", f"usr/share/doc/story-agent/examples/rauc/{name}")
            for name in (
                "10-story-agent-watchdog.conf", "60-story-agent-root.rules", "system.conf",
                "story-agent-trial.service", "story-agent-trial.timer", "trial-end", "tryboot",
            )
        ),
    ),
)  # fmt: skip

CLOUD = Recipe(
    "story-cloud",
    # paho-mqtt: story-fleet imports it, and `serve` needs it for a broker.
    wants=("story-agent[mqtt]", "story-cloud"),
    own=(ROOT, ROOT / "cloud"),
    programs={
        "story-cloud": "staging.commands.entry:main",
        "story-release": "release.entry:main",
        "story-fleet": "staging.fleet.entry:main",
    },
    files=(
        ("systemd/deb/story-cloud/story-cloud.service", f"{UNITS}/story-cloud.service"),
        ("systemd/deb/story-cloud/sysusers", "usr/lib/sysusers.d/story-cloud.conf"),
        ("systemd/deb/story-cloud/default", "etc/default/story-cloud"),
        ("docs/staging.md", "usr/share/doc/story-cloud/staging.md"),
        ("docs/packages.md", "usr/share/doc/story-cloud/packages.md"),
    ),
)

BY_NAME = {recipe.name: recipe for recipe in (AGENT, CLOUD)}
