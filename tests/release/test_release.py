"""The release tool: the repository's crash safety, and story-release as a command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ota.launch import running as release
from ota.trust.client import TrustSettings, find_target
from ota.trust.terms import Terms
from release import lifetimes
from release.errors import ReleaseToolError
from release.package_files import AddedTarget
from release.repository import Repository
from wire.errors import WireError

ROOT = Path(__file__).parents[2]
PACKAGES = ("wire", "audio", "base", "transport", "machine", "resources", "ota", "agent")


class Death(BaseException):
    """Stands for the kill of the tool."""


def finds(repo: Repository, url: str, added: AddedTarget, folder: Path, helpers: Any) -> bool:
    """Whether a new device accepts the repository and finds the package."""
    settings = TrustSettings(added.product, url, repo.root_file, folder)
    find_target(settings, helpers.order_for(added, url), "1.0.0", threading.Event())
    return True


def test_a_crash_at_any_write_of_add_leaves_a_repository_that_clients_accept(
    repository: Repository,
    added: AddedTarget,
    server: Any,
    tmp_path: Path,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = helpers.make_package(tmp_path / "q.tar.gz", "1.2.0")
    real = Path.replace
    for point in range(10):
        seen = 0

        def replace(self: Path, target: Path, point: int = point) -> Path:
            nonlocal seen
            seen += 1
            if seen > point:
                raise Death
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        try:
            second = repository.add(package, helpers.PRODUCT, "1.2.0")[0]
        except Death:
            monkeypatch.setattr(Path, "replace", real)
            assert finds(repository, server.url, added, tmp_path / f"m{point}", helpers)
            assert Repository(repository.folder).verify()["valid"]
            assert not list(repository.folder.rglob("*.tmp"))
        else:
            break
    monkeypatch.setattr(Path, "replace", real)
    # Package, targets, snapshot, timestamp: the `add` after the crashes wrote all four.
    assert point == 4
    assert finds(repository, server.url, second, tmp_path / "last", helpers)
    assert finds(repository, server.url, added, tmp_path / "last", helpers)


def test_the_same_bytes_again_change_nothing_and_other_bytes_are_refused(
    repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any
) -> None:
    package = tmp_path / "p.tar.gz"
    before = {p: p.read_bytes() for p in repository.metadata_dir.iterdir()}
    (repository.folder / added.path).unlink()
    assert repository.add(package, helpers.PRODUCT, "1.1.0")[0] == added
    assert {p: p.read_bytes() for p in repository.metadata_dir.iterdir()} == before
    package.write_bytes(b"other")
    with pytest.raises(ReleaseToolError, match="already there with other bytes"):
        repository.add(package, helpers.PRODUCT, "1.1.0")
    assert repository.verify()["targets"] == 1


def test_adds_at_the_same_time_do_not_interleave(
    repository: Repository, tmp_path: Path, helpers: Any
) -> None:
    running = []
    for number in range(4):
        version = f"2.0.{number}"
        helpers.make_package(tmp_path / version, version)
        command = [sys.executable, "-m", "release.cli", "add", str(tmp_path / version)]
        command += ["--repo", str(repository.folder), "--keys", str(tmp_path / "keys")]
        command += ["--product", helpers.PRODUCT, "--version", version]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
    for process in running:
        assert process.wait(30) == 0
    assert repository.verify()["targets"] == 4


BAD_TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "budget below zero": ({"data_budget": -5}, "custom.data_budget: got -5, expected an integer"),
    "budget of nothing": ({"data_budget": 0}, "custom.data_budget: got 0"),
    "budget without end": ({"data_budget": 10**30}, "custom.data_budget: got 1000"),
    "board without a name": ({"hardware": ("",)}, "custom.compatible.hardware: got"),
    "channel without a name": ({"channels": ("",)}, "custom.channels: got"),
    "no reason": ({"revoked": ""}, 'custom.revoked: got "", expected a string'),
    "half of a character": ({"revoked": "\udcff"}, "custom: not UTF-8 text"),
}


@pytest.mark.parametrize("name", BAD_TERMS, ids=str)
def test_terms_that_no_machine_could_read_are_not_signed(
    repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any, name: str
) -> None:
    """Once signed, they could be neither changed nor verified."""
    changes, reason = BAD_TERMS[name]
    before = {path for path in repository.folder.rglob("*") if path.is_file()}
    package = helpers.make_package(tmp_path / "q.tar.gz", "1.2.0")
    for act in (
        lambda: repository.add(package, added.product, "1.2.0", Terms("", "", **changes)),
        lambda: repository.edit_terms(added.product, "1.1.0", lambda t: replace(t, **changes)),
    ):
        with pytest.raises(WireError, match=re.escape(reason)):
            act()
    assert {path for path in repository.folder.rglob("*") if path.is_file()} == before
    assert repository.verify()["targets"] == 1


def test_keys_are_for_their_owner_alone(repository: Repository, tmp_path: Path) -> None:
    keys = sorted((tmp_path / "keys").iterdir())
    assert [key.name for key in keys] == [
        "root.pem",
        "snapshot.pem",
        "targets.pem",
        "timestamp.pem",
    ]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    keys[3].chmod(0o644)
    with pytest.raises(ReleaseToolError, match="chmod 600"):
        Repository(repository.folder, tmp_path / "keys").refresh()


def test_verify_finds_a_changed_package_and_an_expired_role(
    repository: Repository, added: AddedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository.folder / added.path
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ReleaseToolError, match=r"1\.1\.0"):
        repository.verify()
    path.write_bytes(data)
    lifetime = dict.fromkeys(_lifetime(), -_lifetime()["timestamp"])
    monkeypatch.setattr("release.lifetimes.LIFETIME", lifetime)
    repository.refresh()
    with pytest.raises(ReleaseToolError, match="timestamp: expired"):
        repository.verify()


def test_a_version_that_is_no_number(repository: Repository) -> None:
    """TUF's parser accepts it, but canonical JSON cannot represent it."""
    path = repository.metadata_dir / "root.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":1.5'))
    for act in (repository.verify, repository.show, repository.refresh):
        with pytest.raises(ReleaseToolError, match=r"root\.json: not TUF metadata"):
            act()


def test_a_clock_that_cannot_be_right_signs_nothing(
    repository: Repository, added: AddedTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offline machine that started in 1970 would publish metadata that is expired everywhere."""
    monkeypatch.setattr("release.lifetimes.now", lambda: datetime(1970, 1, 1, tzinfo=UTC))
    before = {p: p.read_bytes() for p in repository.folder.rglob("*") if p.is_file()}
    for act in (
        repository.refresh,
        repository.publish,
        repository.verify,
        lambda: repository.change_keys("timestamp", 1),
        lambda: repository.edit_terms(added.product, "1.1.0", lambda terms: terms),
        lambda: repository.add(tmp_path / "p.tar.gz", added.product, "1.1.0"),
        lambda: Repository(tmp_path / "other", tmp_path / "keys").create(),
    ):
        with pytest.raises(ReleaseToolError, match="clock says 1970-01-01 00:00:00Z, expected 2"):
            act()
    assert {p: p.read_bytes() for p in repository.folder.rglob("*") if p.is_file()} == before
    assert not (tmp_path / "other").exists()


def test_init_writes_over_no_repository_that_lost_its_root(
    repository: Repository, added: AddedTarget
) -> None:
    repository.root_file.unlink()
    before = {p: p.read_bytes() for p in repository.metadata_dir.iterdir()}
    with pytest.raises(ReleaseToolError, match="already a repository"):
        repository.create()
    assert {p: p.read_bytes() for p in repository.metadata_dir.iterdir()} == before
    assert added.version == "1.1.0"


def _lifetime() -> dict[str, Any]:
    return dict(lifetimes.LIFETIME)


def test_running_release(tmp_path: Path) -> None:
    code = tmp_path / "1.1.0/lib/ota/launch/running.py"
    code.parent.mkdir(parents=True)
    (tmp_path / "1.1.0/release.json").write_text('{"version": "1.1.0"}')
    running = release.running_release(code)
    assert (running.version, running.source) == ("1.1.0", "slot")
    assert release.running_release().source in {"package", "checkout"}


def test_running_release_of_a_checkout_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "DISTRIBUTION", "nosuch-distribution")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "3.2.1"\n')
    running = release.running_release(tmp_path / "ota/launch/running.py")
    assert (running.version, running.source) == ("3.2.1", "checkout")
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(RuntimeError, match="no version"):
        release.running_release(tmp_path / "ota/launch/running.py")


class Tool:
    """story-release in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "release.cli", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
        result: dict[str, Any] = json.loads(done.stdout)
        return result


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    for name in PACKAGES:
        (tmp_path / "src" / name / "__pycache__").mkdir(parents=True)
        (tmp_path / "src" / name / "__init__.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / "src" / name / "__pycache__/x.pyc").write_bytes(b"x")
    return Tool(tmp_path)


BUILD = ("build", "--version", "1.1.0", "--source", "src", "--output")
FOLDERS = ("--repo", "repo", "--keys", "keys")


def test_from_nothing_to_a_verified_release(tool: Tool) -> None:
    assert tool.json("init", *FOLDERS)["root"] == "repo/metadata/root.json"
    built = tool.json(*BUILD, "p.tar.gz")
    assert (built["version"], built["product"]) == ("1.1.0", "story-machine")
    assert any(name.startswith("tuf==") for name in built["requires"])
    tool.json(*BUILD, "again.tar.gz")
    package = tool.folder / "p.tar.gz"
    assert package.read_bytes() == (tool.folder / "again.tar.gz").read_bytes()
    with tarfile.open(package) as tar:
        names = tar.getnames()
    assert names == ["release.json", *(f"lib/{name}/__init__.py" for name in sorted(PACKAGES))]
    which = ("--product", "story-machine", "--version", "1.1.0")
    added = tool.json("add", "p.tar.gz", *FOLDERS, *which)
    assert set(added) == {"target", "path", "size", "md5", "sha256", "version", "product"}
    assert (
        added["size"]
        == package.stat().st_size
        == (tool.folder / "repo" / added["path"]).stat().st_size
    )
    assert tool.json("add", "p.tar.gz", *FOLDERS, *which) == added
    assert tool.json("verify", "--repo", "repo")["valid"] is True
    assert tool.json("verify", "p.tar.gz")["valid"] is True
    shown = tool.json("show", "--repo", "repo")
    assert [target["target"] for target in shown["targets"]] == [added["target"]]
    refreshed = tool.json("refresh", *FOLDERS)["roles"]
    assert refreshed["timestamp"]["version"] == shown["roles"]["timestamp"]["version"] + 1


def test_what_was_revoked_is_not_offered_again(tool: Tool) -> None:
    which = ("--product", "story-machine", "--version", "1.1.0")
    tool.json("init", *FOLDERS)
    tool.json(*BUILD, "p")
    tool.json("add", "p", *FOLDERS, *which, "--hold")
    tool.json("revoke", *FOLDERS, *which, "--reason", "deletes songs")
    done = tool("promote", *FOLDERS, *which)
    assert (done.returncode, done.stdout) == (1, "")
    reason = "version 1.1.0 is revoked (deletes songs): no machine would install it"
    assert done.stderr == f"story-release: {reason}\n"


def test_people_get_lines(tool: Tool) -> None:
    done = tool("init", *FOLDERS)
    assert done.stdout.splitlines()[0] == "repository: repo"


def test_a_reader_that_has_enough_is_no_error_to_tell_of(tool: Tool) -> None:
    tool.json("init", *FOLDERS)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "release.cli", "show", "--repo", str(tool.folder / "repo")]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert done.stderr == b""


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no repository": (("show", "--repo", "none"), "run init first"),
    "no repository to add to": (
        ("refresh", "--repo", "none", "--keys", "keys"),
        "no such folder",
    ),
    "a repository twice": (("init", *FOLDERS), "already a repository"),
    "no such file": (("verify", "none"), "No such file"),
    "not a package": (("verify", "src/ota/__init__.py"), "broken package"),
    "bad version": (("build", "--version", "x", "--output", "o"), 'got "x"'),
    "bad product": ((*BUILD, "o", "--product", "../x"), "product"),
    "no sources": (("build", "--version", "1.0", "--source", "repo", "--output", "o"), "repo/wire"),
    "no such folder for the output": ((*BUILD, "none/o"), "No such file"),
    "another product": (
        ("add", "p", *FOLDERS, "--product", "toaster", "--version", "1.1.0"),
        "its product is 'story-machine'",
    ),
    "another version": (
        ("add", "p", *FOLDERS, "--product", "story-machine", "--version", "1.2"),
        "its version is '1.1.0'",
    ),
    "no keys": (
        (
            *("add", "p", "--repo", "repo", "--keys", "none"),
            *("--product", "story-machine", "--version", "1.1.0"),
        ),
        "no such key",
    ),
}


def test_bad_input_gives_one_line_and_an_exit_code(tool: Tool) -> None:
    tool.json("init", *FOLDERS)
    tool.json(*BUILD, "p")
    for name, (arguments, reason) in BAD.items():
        done = tool(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert done.stderr.count("\n") == 1, name
        assert done.stderr.startswith("story-release: "), name
        assert reason in done.stderr, name
    assert not (tool.folder / "o").exists()


def test_a_build_date_that_is_none(tool: Tool) -> None:
    for value in ("tomorrow", "²", "9" * 5000):
        done = tool(*BUILD, "o", SOURCE_DATE_EPOCH=value)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "SOURCE_DATE_EPOCH: got" in done.stderr
    assert not (tool.folder / "o").exists()


def test_what_the_terminal_has_no_characters_for(tool: Tool) -> None:
    """The change has been made by then; its output must not end in a traceback."""
    done = tool("init", "--repo", "geschichten-ü", "--keys", "k", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("repository: geschichten-\\xfc\n")


def test_a_wrong_command_line_is_usage(tool: Tool) -> None:
    done = tool("add")
    assert done.returncode == 2
    assert "usage:" in done.stderr
