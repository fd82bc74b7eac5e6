"""The list of parts of an image, from what dpkg says and what copyright files have."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from release.parts import Part
from release.sbom import make_sbom
from staging.releases.parts import read_parts
from tools.image.parts import (
    LICENCES_MAX,
    image_sbom,
    licence_of,
    pack_copyrights,
    read_packages,
)
from wire.errors import WireError

DPKG = (
    "libc6\t2.36-9+deb12u10\tarm64\tglibc 2.36-9+deb12u10\t\tlibgcc-s1, libcrypt1 (>= 1:4.4.10-10~)\n"
    "libcrypt1\t1:4.4.33-2\tarm64\tlibxcrypt 1:4.4.33-2\t\t, libc6 (>= 2.36)\n"
    "dbus\t1.14.10-1~deb12u1\tarm64\tdbus 1.14.10-1~deb12u1\tdefault-dbus-system-bus (= 1), dbus-x\t, libc6 (>= 2.36)\n"
    "rauc\t1.8-2\tarm64\trauc 1.8-2\t\t, dbus-none | default-dbus-system-bus, libc6:any\n"
    "story-agent\t1.0.0\tarm64\tstory-agent 1.0.0\t\t, python3 (>= 3.11), rauc\n"
)
AGENTS = make_sbom("story-agent", "1.0.0", [Part("tuf", "7.0", "MIT")], {"tuf"}, 1_700_000_000)


def made() -> bytes:
    return image_sbom("pi", "bookworm", "1.2.0", read_packages(DPKG), AGENTS)


def test_it_has_debians_packages_and_the_agents_parts_each_once() -> None:
    value = json.loads(made())
    assert value["metadata"]["component"]["name"] == "story-machine-pi"
    assert value["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    names = sorted(it["name"] for it in value["components"])
    assert names == ["dbus", "libc6", "libcrypt1", "rauc", "story-agent", "tuf"]
    libc = next(it for it in value["components"] if it["name"] == "libc6")
    assert libc["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=arm64&distro=bookworm"
    assert {"name": "debian:source", "value": "glibc 2.36-9+deb12u10"} in libc["properties"]
    assert made() == made()


def test_what_needs_what_is_found_by_provided_names_and_alternatives_too() -> None:
    tree = {it["ref"].partition("@")[0]: it["dependsOn"] for it in json.loads(made())["dependencies"]}  # fmt: skip
    short = {name: [it.partition("@")[0] for it in needs] for name, needs in tree.items()}
    assert short["pkg:deb/debian/rauc"] == ["pkg:deb/debian/dbus", "pkg:deb/debian/libc6"]
    assert short["pkg:deb/debian/libc6"] == ["pkg:deb/debian/libcrypt1"]
    assert short["story-agent"] == ["pkg:pypi/tuf", "pkg:deb/debian/rauc"]
    assert short["story-machine-pi"] == ["story-agent"]


def test_the_cloud_reads_it() -> None:
    """So that it answers which machines run a Debian package of a version."""
    read = read_parts(made())
    assert (read.name, read.version) == ("story-machine-pi", "1.2.0")
    found = {(it.name, it.version, it.bundled) for it in read.parts}
    assert {("libcrypt1", "1:4.4.33-2", True), ("tuf", "7.0", True), ("story-agent", "1.0.0", True)} <= found  # fmt: skip


@pytest.mark.parametrize("agents", [b"{}", b"no", AGENTS.replace(b'"dependencies"', b'"x"'), AGENTS.replace(b"2023-", b"MMXX-")])  # fmt: skip
def test_a_broken_list_of_the_agents_is_told(agents: bytes) -> None:
    with pytest.raises(WireError):
        image_sbom("pi", "bookworm", "1.2.0", [], agents)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("Format: x\nLicense: GPL-2+\n text\n\nFiles: b\nLicense: MIT\nLicense: GPL-2+\n", "GPL-2+; MIT"),
        ("It is in `/usr/share/common-licenses/LGPL-2.1'.\nand /usr/share/common-licenses/GPL-2.", "LGPL-2.1; GPL-2"),
        ("Do what you like.", "unknown"),
        ("".join(f"License: L{number}\n" for number in range(LICENCES_MAX + 2)), "; ".join([*(f"L{number}" for number in range(LICENCES_MAX)), "and 2 more"])),
    ],
)  # fmt: skip
def test_the_licences_are_those_that_the_copyright_file_names(text: str, licence: str) -> None:
    assert licence_of(text) == licence


def test_copyright_files_are_packed_links_followed_and_the_same_each_time(tmp_path: Path) -> None:
    doc = tmp_path / "usr/share/doc"
    (doc / "a").mkdir(parents=True)
    (doc / "a/copyright").write_text("A's")
    (doc / "a/changelog.gz").write_text("not wanted")
    (doc / "b").symlink_to("a")
    (tmp_path / "usr/share/common-licenses").mkdir()
    (tmp_path / "usr/share/common-licenses/GPL-3").write_text("GNU")
    packed = pack_copyrights(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getnames() == ["a/copyright", "b/copyright", "common-licenses/GPL-3"]
    assert pack_copyrights(tmp_path) == packed
