"""An apt repository: texts, signatures, and apt itself that reads it.

The command is `staging.commands.apt_repositories`, and gpg is called by `staging.packages.signer`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from staging.commands import cli
from staging.errors import StagingError
from staging.packages.apt_repository import AptRepository, installer
from staging.packages.deb_file import read_deb
from staging.packages.index import index_files, packages_text, release_text, sha256
from staging.packages.signer import Signer
from wire.errors import FieldError

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
URL = "http://127.0.0.1:8000/debs"
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gnupg is not installed")


def member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def make_deb(
    folder: Path, version: str = "1.0.0", architecture: str = "amd64", *, control: str = "",
    kind: str = "xz", package: str = "story-agent",
) -> Path:  # fmt: skip
    text = control or (
        f"Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n"
        "Description: one\n two\n"
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as tar:  # type: ignore[call-overload]
        info = tarfile.TarInfo("./control")
        info.size = len(text.encode())
        tar.addfile(info, io.BytesIO(text.encode()))
    path = folder / f"{package}-{version}-{architecture}.deb"
    parts = [("debian-binary", b"2.0\n"), (f"control.tar.{kind}", buffer.getvalue())]
    path.write_bytes(b"!<arch>\n" + b"".join(member(*part) for part in parts))
    return path


@pytest.mark.parametrize("kind", ["xz", "gz"])
def test_a_package_is_read_without_dpkg(kind: str, tmp_path: Path) -> None:
    path = make_deb(tmp_path, "1:2.0~rc1", kind=kind)
    deb = read_deb(path)
    assert (deb.package, deb.version, deb.architecture) == ("story-agent", "1:2.0~rc1", "amd64")
    assert deb.name == "story-agent_2.0~rc1_amd64.deb"
    assert (deb.size, deb.sha256) == (path.stat().st_size, sha256(path.read_bytes()))


@pytest.mark.parametrize(
    ("control", "error"),
    [
        ("Package: ../x\nVersion: 1\nArchitecture: all\n", 'Package: got "../x"'),
        ("Package: x1\nVersion: 1 /..\nArchitecture: all\n", "Version: got"),
        ("Package: x1\nVersion: 1\n", 'Architecture: got ""'),
    ],
)
def test_a_name_that_would_leave_the_pool_is_refused(
    control: str, error: str, tmp_path: Path
) -> None:
    with pytest.raises(FieldError, match=re.escape(error)):
        read_deb(make_deb(tmp_path, control=control))


@pytest.mark.parametrize("cut", [0, 3, 30, 75, 100, 140])
def test_a_damaged_package_is_told(cut: int, tmp_path: Path) -> None:
    path = make_deb(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StagingError, match=r"amd64\.deb"):
        read_deb(path)


def test_a_kind_that_is_not_read_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "new.deb"
    path.write_bytes(b"!<arch>\n" + member("control.tar.zst", b"(\xb5/\xfd"))
    with pytest.raises(StagingError, match="dpkg-deb -Zxz"):
        read_deb(path)


def test_an_index_has_what_runs_on_an_architecture(tmp_path: Path) -> None:
    debs = [read_deb(make_deb(tmp_path, architecture=it)) for it in ("arm64", "amd64", "all")]
    text = packages_text(debs, "arm64")
    assert re.findall("Filename: (.*)", text) == [
        "pool/story-agent_1.0.0_all.deb", "pool/story-agent_1.0.0_arm64.deb",
    ]  # fmt: skip
    assert len(text.strip().split("\n\n")) == 2
    assert "\n two\nFilename" in text


@pytest.mark.parametrize(("days", "until"), [(None, None), (30, "Sat, 26 Dec 2026 12:00:00 UTC")])
def test_a_release_names_its_day_in_english(days: int | None, until: str | None) -> None:
    text = release_text({"main/binary-amd64/Packages": b"x"}, "stable", NOON, days)
    fields = dict(re.findall(r"(?m)^([\w-]+): (.*)$", text))
    assert fields["Date"] == "Thu, 26 Nov 2026 12:00:00 UTC"
    assert fields.get("Valid-Until") == until
    assert f" {sha256(b'x')} 1 main/binary-amd64/Packages\n" in text


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://a b/", "http://x/'; reboot; '", "file:x"])
def test_a_url_that_is_none_reaches_no_script(url: str, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="url"):
        AptRepository(tmp_path).publish(None, url)  # type: ignore[arg-type]


def test_the_installer_is_a_shell_script(tmp_path: Path) -> None:
    path = tmp_path / "install.sh"
    path.write_text(installer(f"{URL}/", "stable", b"-----BEGIN\nkey\n"))
    assert f"URL='{URL}'\n" in path.read_text()
    assert "@@" not in path.read_text()
    subprocess.run(["sh", "-n", path], check=True, timeout=60)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", path], check=True, timeout=30)
    # Half of it, as a line that breaks brings it, does nothing at all.
    half = path.read_bytes()[: path.stat().st_size * 2 // 3]
    done = subprocess.run(
        ["/bin/sh"], input=half, capture_output=True, check=False, timeout=60,
        env={"PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == b""


def story_cloud(data: Path, *words: str | Path) -> int:
    return cli.main(["--data", str(data), "--json", "apt-repo", *map(str, words)])


@needs_gpg
def test_apt_takes_what_is_signed_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_deb(tmp_path), make_deb(tmp_path, "1.1.0")
    repository = tmp_path / "repository"
    assert story_cloud(tmp_path / "data", repository, first) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["packages"] == ["story-agent_1.0.0_amd64.deb"]
    assert (tmp_path / "data/apt-keys").stat().st_mode & 0o777 == 0o700
    old = set((repository / "dists/stable").glob("*/*/by-hash/SHA256/*"))
    # Renewed by the same key; a machine that reads just now still finds the indexes of before.
    assert story_cloud(tmp_path / "data", repository, second) == 0
    assert json.loads(capsys.readouterr().out)["key"] == made["key"]
    assert candidates(tmp_path, repository) == ["1.1.0", "1.0.0"]
    assert old < set((repository / "dists/stable").glob("*/*/by-hash/SHA256/*"))
    assert story_cloud(tmp_path / "data", repository) == 0
    assert not old & set((repository / "dists/stable").glob("*/*/by-hash/SHA256/*"))
    # Another key, or a changed index, is refused.
    release = repository / "dists/stable/InRelease"
    release.write_text(release.read_text().replace("Suite: stable", "Suite: stabLe"))
    assert candidates(tmp_path, repository) == []


def candidates(folder: Path, repository: Path) -> list[str]:
    """Return the versions that a fresh apt finds; [] if it refuses the repository."""
    apt = folder / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for name in ("lists/partial", "etc", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    source = (
        f"deb [arch=amd64 signed-by={repository}/story-machine.asc] file:{repository} stable main\n"
    )
    (apt / "etc/sources.list").write_text(source)
    (apt / "status").touch()
    places = {
        "Dir::State::lists": apt / "lists", "Dir::State::status": apt / "status",
        "Dir::Etc": apt / "etc", "Dir::Cache": apt / "cache", "APT::Sandbox::User": "root",
    }  # fmt: skip
    options = [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
    for words in (
        ["apt-get", "update", "-o", "APT::Update::Error-Mode=any"],
        ["apt-cache", "madison", "story-agent"],
    ):
        done = subprocess.run(
            [*words[:1], *options, *words[1:]], capture_output=True, text=True, check=False,
            timeout=60, env=os.environ | {"LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        if done.returncode:
            return []
    return [line.split("|")[1].strip() for line in done.stdout.splitlines()]


def test_a_key_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, short = tmp_path / "bin", tmp_path / "short"
    for folder in (programs, short):
        folder.mkdir()
    for name in ("gpg", "gpgconf"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\nexit 2\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    with pytest.raises(StagingError), Signer(tmp_path / "home"):
        pass
    assert "--kill gpg-agent" in (tmp_path / "calls").read_text().splitlines()[-1]
    assert not list(short.iterdir())


@needs_gpg
def test_a_data_folder_may_have_a_name_longer_than_a_sockets(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 120)
    assert story_cloud(data, tmp_path / "repository", make_deb(tmp_path)) == 0


@needs_gpg
def test_a_version_is_never_replaced_by_other_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = AptRepository(tmp_path / "repository")
    repository.add([make_deb(tmp_path)])
    repository.add([make_deb(tmp_path)])
    changed = make_deb(tmp_path, kind="gz")
    assert story_cloud(tmp_path / "data", tmp_path / "repository", changed) == 1
    assert "raise the version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--suite", "Stable/.."], 'suite: got "Stable/.."'),
        (["--valid-days", "0"], "--valid-days: got 0"),
        (["none.deb"], "none.deb: No such file"),
        ([], "no packages; name some"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("staging.packages.signer.Signer.__enter__", lambda it: it)
    monkeypatch.setattr("staging.packages.signer.Signer.__exit__", lambda *_: None)
    assert story_cloud(tmp_path / "data", tmp_path / "repository", *words) == 1
    assert error in capsys.readouterr().err


def test_indexes_are_packed_the_same_way_twice(tmp_path: Path) -> None:
    debs = [read_deb(make_deb(tmp_path))]
    files = index_files(debs)
    assert files == index_files(debs)
    plain, packed = files["main/binary-amd64/Packages"], files["main/binary-amd64/Packages.gz"]
    assert gzip.decompress(packed) == plain
