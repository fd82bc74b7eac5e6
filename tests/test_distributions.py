"""Both wheels, and a machine that has only the agent's (docs/adr/0015)."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from release.build import PACKAGES

ROOT = Path(__file__).parents[1]
CLOUD_PACKAGES = {"release", "staging"}
# Both wheels take a few seconds on an idle machine.
PIP_TIMEOUT = 120
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
for name in ("release", "staging"):
    assert importlib.util.find_spec(name) is None, name
assert "pkcs11" not in sys.modules
print(sorted(name for name in sys.modules if name.partition(".")[0] in sys.argv[1:]))
"""


@dataclass
class Wheels:
    agent: Path
    cloud: Path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", str(folder), str(ROOT), str(ROOT / "cloud"))  # fmt: skip
    return Wheels(*(next(folder.glob(f"story_{name}-*.whl")) for name in ("agent", "cloud")))


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *words], check=False, capture_output=True, text=True, timeout=PIP_TIMEOUT
    )
    assert done.returncode == 0, done.stderr


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        return packed.namelist()


def text_of(wheel: Path, ending: str) -> str:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(ending))
        return packed.read(name).decode()


def folders(wheel: Path) -> set[str]:
    return {name.partition("/")[0] for name in names_in(wheel)}


def sources(*packages: str) -> set[str]:
    """Return the files of packages in the source tree."""
    found = (path for name in packages for path in (ROOT / name).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_agents_wheel_has_the_packages_of_a_release_and_no_others(wheels: Wheels) -> None:
    (information,) = folders(wheels.agent) - set(PACKAGES)
    assert information == wheels.agent.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    packed = {name for name in names_in(wheels.agent) if not name.startswith(information)}
    assert packed == sources(*PACKAGES)
    assert text_of(wheels.agent, "entry_points.txt").count(" = ") == 1


def test_the_clouds_wheel_has_all_of_its_packages(wheels: Wheels) -> None:
    (information,) = folders(wheels.cloud) - CLOUD_PACKAGES
    packed = {name for name in names_in(wheels.cloud) if not name.startswith(information)}
    assert packed == sources(*CLOUD_PACKAGES)
    assert "staging/console/static/index.html" in packed
    programs = text_of(wheels.cloud, "entry_points.txt")
    assert "story-cloud = staging.commands.entry:main" in programs
    assert "story-release = release.entry:main" in programs


def test_the_cloud_needs_the_agent_of_the_same_version(wheels: Wheels) -> None:
    version = wheels.agent.name.split("-")[1]
    metadata = text_of(wheels.cloud, "METADATA").splitlines()
    assert f"Version: {version}" in metadata
    assert f"Requires-Dist: story-agent=={version}" in metadata


def test_a_machine_has_nothing_that_signs_or_serves(wheels: Wheels, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheels.agent))
    # The dependencies come from this environment; a path in a .pth file reads no further .pth files,
    # so that the project itself does not come from there.
    site = next((tmp_path / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    programs = {path.name for path in (tmp_path / "bin").iterdir()}
    assert {name for name in programs if name.startswith("story")} == {"story-agent"}

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "usage: story-agent" in run(tmp_path / "bin" / "story-agent", "--help")
    imported = run(python, "-c", IMPORT_ALL, *PACKAGES)
    for name in ("agent.app", "ota.trust.client", "ota.launch.launch", "machine.player"):
        assert f"'{name}'" in imported
