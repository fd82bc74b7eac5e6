"""The launcher's contract (docs/launcher.md), word by word: an old launcher cannot be changed any more."""

from __future__ import annotations

import ast
import contextlib
import gzip
import importlib
import importlib.metadata
import io
import json
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.upgrade.conftest import NOW
from tests.upgrade.house import (
    BASE,
    BEFORE,
    ENTRY,
    RELEASE,
    RELEASE_FILE,
    ROOT,
    environment_of,
    install_base,
    run_code,
    unpack,
    without_sum,
)
from tools.syntax import parse

EX_CONFIG = 78
EXPECTED = json.loads((Path(__file__).parent / "before" / "expected.json").read_text("utf-8"))
# Writes down how it was started.
PROBE = """\
import json, os, sys
names = ("PYTHONPATH", "STORY_AGENT_BASE", "STORY_AGENT_SLOT")
print(json.dumps({
    "command": sys.orig_argv, "argv": sys.argv[1:], "safe_path": sys.flags.safe_path,
    "environment": {name: os.environ.get(name) for name in names},
}))
"""
BOOT_MEMBERS = ["active", "previous", "trial", "last_rollback", "base"]
RELEASE_MEMBERS = [
    "format", "product", "version", "requires_python", "requires", "packages", "unpacked_bytes",
    "built",
]  # fmt: skip
# What the version before does with a package that it has fetched: all but the switch.
OLD_UNPACKER = """
import sys, threading
from pathlib import Path
from ota.errors import ContentError
from ota.slots import SlotInstaller
from ota.trust import Target
package, state, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
import hashlib
data = package.read_bytes()
target = Target(f"story-machine/{version}.tar.gz", len(data), hashlib.sha256(data).hexdigest(),
                version, "story-machine", None, None)
try:
    SlotInstaller(state).install(package, target, threading.Event(), lambda *_: None)
except ContentError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture(scope="module")
def base_of_now(tmp_path_factory: pytest.TempPathFactory, package_of_now: Path) -> Path:
    folder = tmp_path_factory.mktemp("now")
    return install_base(unpack(package_of_now, folder) / "lib", folder / "site-packages", BASE)


@pytest.fixture(params=["before", "now"])
def base(request: pytest.FixtureRequest) -> Path:
    """Both versions' launchers: what holds for one must hold for the other."""
    return Path(request.getfixturevalue(f"base_of_{request.param}"))


def make_release(state: Path, version: str, cli: str = PROBE) -> Path:
    folder = state / "slots" / "releases" / version
    (folder / "lib" / "agent").mkdir(parents=True)
    (folder / "lib" / "agent" / "__init__.py").touch()
    (folder / "lib" / "agent" / "cli.py").write_text(cli)
    (folder / "release.json").write_text("{}")
    return folder


def write_boot(state: Path, **members: Any) -> None:
    record = dict.fromkeys(BOOT_MEMBERS) | {"base": BASE} | members
    (state / "slots").mkdir(exist_ok=True)
    (state / "slots" / "boot.json").write_text(json.dumps(record))


def read_boot(state: Path) -> dict[str, Any]:
    """Return the members that every version writes."""
    return without_sum(json.loads((state / "slots" / "boot.json").read_bytes()))


def start(base: Path, state: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Start what is active; a base that runs itself cannot read the settings named, says so and ends."""
    return run_code(base, "-m", "agent.cli", *start_words(state), *more)


def start_words(state: Path) -> list[str]:
    """Return the words of a start that has a profile, and no settings."""
    profile = state / "profile.json"
    profile.unlink(missing_ok=True)
    profile.write_text(json.dumps(EXPECTED["profile"]))
    profile.chmod(0o400)
    return [
        "run",
        "--state",
        str(state),
        "--profile",
        str(profile),
        "--config",
        str(state / "none.toml"),
    ]


def test_how_a_release_is_started(base: Path, tmp_path: Path) -> None:
    lib = make_release(tmp_path, "1.0.9") / "lib"
    write_boot(tmp_path, active="1.0.9")
    done = start(base, tmp_path, "--verbose")
    assert not done.stderr
    found = json.loads(done.stdout)
    words = [*start_words(tmp_path), "--verbose"]
    assert found["command"] == [sys.executable, "-P", "-m", "agent.cli", *words]
    assert (found["argv"], found["safe_path"]) == (words, True)
    variables = found["environment"]
    assert variables["PYTHONPATH"] == str(lib)
    assert variables["STORY_AGENT_SLOT"] == "1.0.9"
    way_back = json.loads(variables["STORY_AGENT_BASE"])
    assert way_back == {"executable": sys.executable, "pythonpath": str(base)}


def test_how_the_base_is_started_again(base: Path, tmp_path: Path) -> None:
    """By the other end of the same two variables, whichever version wrote them."""
    probe = tmp_path / "base"
    (probe / "agent").mkdir(parents=True)
    (probe / "agent" / "__init__.py").touch()
    (probe / "agent" / "cli.py").write_text(PROBE)
    way_back = {"executable": sys.executable, "pythonpath": str(probe)}
    variables = {"STORY_AGENT_SLOT": "1.0.9", "STORY_AGENT_BASE": json.dumps(way_back)}
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from agent.cli import restart; restart(['run', '--verbose'])",
        ],
        env=environment_of(base) | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["command"] == [sys.executable, *ENTRY, "run", "--verbose"]
    assert found["environment"] == {
        "PYTHONPATH": str(probe),
        "STORY_AGENT_BASE": None,
        "STORY_AGENT_SLOT": None,
    }


def test_each_start_of_a_trial_is_counted_and_the_fourth_goes_back(
    base: Path, tmp_path: Path
) -> None:
    make_release(tmp_path, "1.0.9")
    trial = {"version": "1.0.9", "attempts": 0, "transaction": "7"}
    write_boot(tmp_path, active="1.0.9", trial=trial, base=None)
    for attempt in (1, 2, 3):
        assert json.loads(start(base, tmp_path).stdout)["argv"][0] == "run"
        record = read_boot(tmp_path)
        assert list(record) == BOOT_MEMBERS
        assert record["trial"] == trial | {"attempts": attempt}
        assert (record["active"], record["previous"], record["base"]) == ("1.0.9", None, BASE)
    done = start(base, tmp_path)
    assert done.returncode == EX_CONFIG
    reason = "it was started 3 times and never confirmed itself"
    assert done.stderr.startswith(f"story-agent: release 1.0.9 is given up: {reason}\n")
    assert read_boot(tmp_path) == {
        "active": None,
        "previous": None,
        "trial": None,
        "last_rollback": {"version": "1.0.9", "reason": reason, "transaction": "7"},
        "base": BASE,
    }


def test_what_a_confirmed_release_leaves_is_what_was_there(base: Path, tmp_path: Path) -> None:
    make_release(tmp_path, "1.0.9")
    write_boot(tmp_path, active="1.0.9", previous="1.0.8")
    before = (tmp_path / "slots/boot.json").read_bytes()
    assert start(base, tmp_path).returncode == 0
    assert (tmp_path / "slots/boot.json").read_bytes() == before
    assert (tmp_path / "slots/current").readlink() == Path("releases/1.0.9")


@pytest.mark.parametrize("missing", ["release.json", "lib"])
def test_a_release_needs_its_release_json_and_its_lib(
    base: Path, tmp_path: Path, missing: str
) -> None:
    folder = make_release(tmp_path, "1.0.9")
    make_release(tmp_path, "1.0.8")
    (folder / missing).rename(folder / "elsewhere")
    write_boot(tmp_path, active="1.0.9", previous="1.0.8")
    done = start(base, tmp_path)
    assert json.loads(done.stdout)["environment"]["STORY_AGENT_SLOT"] == "1.0.8"
    assert done.stderr == "story-agent: release 1.0.9 is given up: its folder is missing\n"
    assert read_boot(tmp_path)["active"] == "1.0.8"


def test_a_boot_json_without_the_member_base_is_read(base: Path, tmp_path: Path) -> None:
    """As releases wrote it before there was one."""
    make_release(tmp_path, "1.0.9")
    record = {"active": "1.0.9", "previous": None, "trial": None, "last_rollback": None}
    (tmp_path / "slots/boot.json").write_text(json.dumps(record))
    assert json.loads(start(base, tmp_path).stdout)["environment"]["STORY_AGENT_SLOT"] == "1.0.9"


def test_a_newer_base_is_known_by_its_distribution_folder(
    tmp_path: Path, package_of_now: Path
) -> None:
    """Its name, in the folder of the import packages: wherever in them the launcher lies."""
    base = install_base(unpack(package_of_now, tmp_path) / "lib", tmp_path / "site", "1.3")
    make_release(tmp_path, "1.0.9")
    write_boot(tmp_path, active="1.0.9")
    done = start(base, tmp_path)
    assert done.returncode == EX_CONFIG
    assert "the base install 1.3 came after release 1.0.9 and is newer: it runs" in done.stderr
    assert read_boot(tmp_path) == dict.fromkeys(BOOT_MEMBERS) | {"base": "1.3"}


def test_the_way_to_a_release_loads_nothing_but_the_standard_library(base: Path) -> None:
    """Also where a dependency is damaged or gone, a release has to be started."""
    code = "import sys, agent.cli; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-c", code],
        env=environment_of(base), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert "agent.cli" in loaded
    assert not loaded & {"asyncio", "logging", "urllib3", "tuf", "ssl", "subprocess", "wire"}


def members(package: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(package) as tar:
        return tar.getmembers()


def info_of(package: Path) -> dict[str, Any]:
    with tarfile.open(package) as tar:
        file = tar.extractfile("release.json")
        assert file is not None
        return dict(json.load(file))


@pytest.fixture(params=["before", "now"])
def package(request: pytest.FixtureRequest) -> Path:
    """What holds for the package of before must hold for the one of now: before unpacks both."""
    if request.param == "before":
        return RELEASE_FILE
    return Path(request.getfixturevalue("package_of_now"))


def test_what_a_package_contains(package: Path) -> None:
    names = [member.name for member in members(package)]
    assert names[0] == "release.json"
    assert all(name.startswith("lib/") for name in names[1:])
    assert all(member.isreg() for member in members(package))
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "lib/agent/cli.py" in names
    info = info_of(package)
    assert list(info) == RELEASE_MEMBERS
    assert info["unpacked_bytes"] == sum(member.size for member in members(package)[1:])
    assert {name.split("/")[1] for name in names[1:]} == set(info["packages"])
    assert "staging" not in info["packages"]
    # A package without __init__.py would give way to one of that name in the base install.
    folders = {name.rpartition("/")[0] for name in names[1:] if name.endswith(".py")}
    assert {f"{folder}/__init__.py" for folder in folders} <= set(names)


def test_a_release_brings_each_package_of_ours_that_it_imports(package_of_now: Path) -> None:
    """What it leaves out would be imported from the base install, of whatever version that is."""
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    brought = set(info_of(package_of_now)["packages"])
    assert brought < ours
    seen: set[str] = set()
    with tarfile.open(package_of_now) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if member.name.endswith(".py") and file is not None:
                found = imports_of(file.read()) & ours
                assert not found - brought, member.name
                seen |= found
    assert len(seen) > 5


def imports_of(source: bytes) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_no_package_of_ours_hides_one_of_python_or_of_a_dependency(package: Path) -> None:
    """A release's lib/ comes before both on the import path."""
    ours = set(info_of(package)["packages"])
    assert not ours & sys.stdlib_module_names
    for name, distributions in importlib.metadata.packages_distributions().items():
        assert name not in ours or set(distributions) == {"story-agent"}


def test_a_machine_of_before_has_what_the_package_of_now_requires(package_of_now: Path) -> None:
    before, now = info_of(RELEASE_FILE), info_of(package_of_now)
    assert (now["format"], now["requires_python"]) == (before["format"], before["requires_python"])
    needed = {requirement.partition("==")[0] for requirement in now["requires"]}
    assert needed <= brought_by(before["requires"])
    assert all(requirement.count("==") == 1 for requirement in now["requires"])


def brought_by(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that are installed with ``requirements``, those that they require themselves too."""
    found: set[str] = set()
    waiting = {requirement.partition("==")[0] for requirement in requirements}
    while waiting:
        name = waiting.pop()
        found.add(name)
        # What is not required any more may not be installed here.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            needs = map(Requirement, importlib.metadata.requires(name) or ())
            waiting |= {each.name for each in needs if each.marker is None} - found
    return found


def with_packages(package: Path, output: Path, names: Iterable[str]) -> Path:
    """Write ``package`` again with more import packages; one that it has already stays."""
    info = info_of(package)
    extra = {f"lib/{name}/__init__.py": b'"""More."""\n' for name in names}
    with tarfile.open(package) as old:
        files = {m.name: old.extractfile(m) for m in old.getmembers()[1:]}
        contents = extra | {name: file.read() for name, file in files.items() if file}
    info["packages"] = sorted({name.split("/")[1] for name in contents})
    info["unpacked_bytes"] = sum(map(len, contents.values()))
    with gzip.open(output, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as new:
        for name, data in {"release.json": json.dumps(info).encode(), **contents}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return output


def install_with(
    base: Path, package: Path, state: Path, version: str
) -> subprocess.CompletedProcess[str]:
    return run_code(base, "-c", OLD_UNPACKER, package, state, version)


def test_before_unpacks_more_packages_than_it_knows(
    tmp_path: Path, base_of_before: Path, package_of_now: Path
) -> None:
    more = {"base", "audio", "machine"}
    package = with_packages(package_of_now, tmp_path / "more.tar.gz", more)
    done = install_with(base_of_before, package, tmp_path / "state", NOW)
    assert done.returncode == 0, done.stderr
    lib = tmp_path / "state" / "slots" / "releases" / NOW / "lib"
    assert {path.name for path in lib.iterdir()} == set(info_of(package)["packages"])
    assert more <= {path.name for path in lib.iterdir()}
    # And its own tool, which releases are checked with, takes it as well.
    done = run_code(base_of_before, "-m", "ota.release_cli", "verify", package)
    assert "valid: True" in done.stdout, done.stderr


def test_before_refuses_what_is_not_below_lib(
    tmp_path: Path, base_of_before: Path, package_of_now: Path
) -> None:
    """The reason why everything of a release has to be there."""
    output = tmp_path / "outside.tar.gz"
    with tarfile.open(package_of_now) as old, tarfile.open(output, "w:gz") as new:
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member))
        new.addfile(tarfile.TarInfo("base/extra.py"), io.BytesIO())
    done = install_with(base_of_before, output, tmp_path / "state", NOW)
    assert "outside lib/" in done.stderr
    assert not list((tmp_path / "state/slots/releases").iterdir())


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("requires", ["tuf==999.0"], "built against tuf==999.0, this machine has"),
        ("requires", ["no-such-thing==1.0"], "this machine has none"),
        ("requires", ["tuf>=6.0"], "release.requires"),
        ("requires_python", ">=3.99", "needs Python >=3.99"),
        ("packages", ["a/b"], "release.packages"),
        ("format", 2, "release.format"),
    ],
)
def test_what_before_refuses_in_release_json(
    tmp_path: Path, base_of_before: Path, member: str, value: object, reason: str
) -> None:
    info = info_of(RELEASE_FILE) | {member: value, "unpacked_bytes": 0}
    data = json.dumps(info).encode()
    package = tmp_path / "package.tar.gz"
    with tarfile.open(package, "w:gz") as tar:
        release = tarfile.TarInfo("release.json")
        release.size = len(data)
        tar.addfile(release, io.BytesIO(data))
    done = install_with(base_of_before, package, tmp_path / "state", RELEASE)
    assert done.returncode == 1
    assert reason in done.stderr


def test_before_takes_an_unknown_member_of_release_json(
    tmp_path: Path, base_of_before: Path
) -> None:
    # Without what it was built against: a machine of now need not have each of those.
    info = info_of(RELEASE_FILE) | {"unpacked_bytes": 0, "requires": [], "new": {"anything": 1}}
    data = json.dumps(info).encode()
    package = tmp_path / "package.tar.gz"
    with tarfile.open(package, "w:gz") as tar:
        release = tarfile.TarInfo("release.json")
        release.size = len(data)
        tar.addfile(release, io.BytesIO(data))
    done = install_with(base_of_before, package, tmp_path / "state", RELEASE)
    assert done.returncode == 0, done.stderr


def test_the_names_of_the_programs_and_that_each_is_there() -> None:
    agent, cloud = (
        tomllib.loads((ROOT / name).read_text("utf-8"))["project"]
        for name in ("pyproject.toml", "cloud/pyproject.toml")
    )
    assert agent["scripts"].keys() == {"story-agent"}
    assert cloud["scripts"].keys() >= {"story-cloud", "story-release"}
    assert agent["name"] == "story-agent"
    for target in (*agent["scripts"].values(), *cloud["scripts"].values()):
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_pip_installs_all_packages_of_a_release(package_of_now: Path) -> None:
    """The base install has to hold what a release holds."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    installed = tool["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(info_of(package_of_now)["packages"]) <= set(installed)


def test_what_systemd_starts() -> None:
    lines = (ROOT / "systemd" / "story-agent.service").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("Exec")] == [
        "ExecStart=/opt/story-agent/bin/story-agent run",
        "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'",
    ]
    assert {
        "Type=notify", "User=story-agent", "StateDirectory=story-agent", "Restart=always",
        "ConfigurationDirectory=story-agent", "StartLimitIntervalSec=0",
    } <= set(lines)  # fmt: skip


def test_the_fixtures_are_small_and_hold_no_compiled_code() -> None:
    assert RELEASE_FILE.stat().st_size < 400_000
    assert (BEFORE / "cloud.tar.gz").stat().st_size < 500_000
    for archive in BEFORE.glob("*.tar.gz"):
        assert not [m.name for m in members(archive) if m.name.endswith((".pyc", ".sock"))]
