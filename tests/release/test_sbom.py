"""SBOM and VEX: CycloneDX by its own schema, the same bytes each time, and what is in the package.

Tests release.faults, release.licences, release.parts and release.commands.sboms too. The schemas in
cyclonedx/ are those of cyclonedx-python-lib 11.12.0 (Apache-2.0).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sysconfig
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from release.commands.sboms import read_sbom_beside
from release.errors import ReleaseToolError
from release.faults import FAULTS_FILE, Fault, read_faults
from release.licences import UNKNOWN, to_cyclonedx
from release.parts import Part, canonical, installed_parts, parts_in, read_requirement
from release.sbom import make_sbom, make_vex
from tests.release.tool import ROOT, Tool
from tools.image.parts import image_sbom, read_packages
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SBOM_MAX = 1_048_576

SCHEMAS = Path(__file__).parent / "cyclonedx"
PARTS = [
    Part("anyio", "4.0", "MIT", ("idna",)),
    Part("idna", "3.1", "BSD", bundled=False),
    Part("urllib3", "2.0", "Apache-2.0 OR (MIT AND ISC)"),
]
FAULT = Fault(
    "CVE-2026-1", "urllib3", ("2.0",), "not_affected", "No.", "code_not_reachable", "update"
)
ENTRY = """
[[fault]]
id = "CVE-2026-1"
part = "Url_Lib3"
versions = ["2.0"]
state = "not_affected"
justification = "code_not_reachable"
detail = "No."
"""


def schema(name: str) -> Any:
    return json.loads(gzip.decompress((SCHEMAS / f"{name}.schema.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def validator() -> Any:
    place = "http://cyclonedx.org/schema/{}.SNAPSHOT.schema.json"
    others = [(place.format(name), schema(name)) for name in ("spdx", "jsf-0.82")]
    registry = jsonschema_rs.Registry(others)
    return jsonschema_rs.validator_for(schema("bom-1.6"), registry=registry, validate_formats=True)


def faults_of(data: bytes, validator: Any) -> list[str]:
    return [
        f"{list(it.instance_path)}: {it.message}" for it in validator.iter_errors(json.loads(data))
    ]


def test_the_schema_does_refuse(validator: Any) -> None:
    broken = json.loads(make_sbom("a", "1", PARTS, (), 0))
    broken["components"][0]["type"] = "thing"
    assert faults_of(json.dumps(broken).encode(), validator)


def test_an_sbom_is_cyclonedx_and_the_same_each_time(validator: Any) -> None:
    made = make_sbom("story-agent", "1.1.0", PARTS, {"anyio"}, 1_700_000_000)
    assert faults_of(made, validator) == []
    assert made == make_sbom("story-agent", "1.1.0", PARTS, {"anyio"}, 1_700_000_000)
    assert made != make_sbom("story-agent", "1.1.1", PARTS, {"anyio"}, 1_700_000_000)
    value = json.loads(made)
    assert value["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    needs = {it["ref"]: it["dependsOn"] for it in value["dependencies"]}
    assert needs["story-agent@1.1.0"] == ["pkg:pypi/anyio@4.0"]
    assert needs["pkg:pypi/anyio@4.0"] == ["pkg:pypi/idna@3.1"]
    origins = {it["name"]: it["properties"][0]["value"] for it in value["components"]}
    assert origins == {"anyio": "bundled", "idna": "base", "urllib3": "bundled"}


def test_an_images_list_is_cyclonedx_too(validator: Any) -> None:
    """tools.image.parts; what is in it: tests/tools/test_image_parts.py."""
    agents = make_sbom("story-agent", "1.1.0", PARTS, {"anyio"}, 0)
    line = "libc6\t2.36-9+deb12u10\tarm64\tglibc 2.36-9+deb12u10\t\t, libgcc-s1\n"
    made = image_sbom("pi", "bookworm", "1.1.0", read_packages(line), agents)
    assert faults_of(made, validator) == []


def test_a_vex_names_the_faults_of_the_parts_that_are_there(validator: Any) -> None:
    sbom = json.loads(make_sbom("story-agent", "1.1.0", PARTS, (), 0))
    other = Fault("CVE-2", "urllib3", ("1.9",), "exploitable", "Yes.")
    made = make_vex(sbom, [FAULT, other, Fault("CVE-3", "idna", (), "in_triage", "?")], 9)
    assert faults_of(made, validator) == []
    told = {it["id"]: it for it in json.loads(made)["vulnerabilities"]}
    assert list(told) == ["CVE-2026-1", "CVE-3"]
    serial = sbom["serialNumber"].removeprefix("urn:uuid:")
    assert told["CVE-2026-1"]["affects"] == [{"ref": f"urn:cdx:{serial}/1#pkg:pypi/urllib3@2.0"}]
    assert told["CVE-2026-1"]["analysis"]["justification"] == "code_not_reachable"
    with pytest.raises(WireError, match="serialNumber"):
        make_vex({}, [], 0)


def test_what_is_known_of_faults_is_read(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(ENTRY)
    assert [it.part for it in read_faults(file)] == ["url-lib3"]
    assert read_faults(FAULTS_FILE) is not None


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('"not_affected"', '"fine"', r"fault\[0\]\.state: got"),
        ('justification = "code_not_reachable"', "", r"fault\[0\]\.justification"),
        ('"code_not_reachable"', '"no"', r"fault\[0\]\.justification: got"),
        ('["2.0"]', '"2.0"', r"fault\[0\]\.versions: got"),
        ('detail = "No."', "", r"fault\[0\]\.detail"),
        ("detail", "detial", r"fault\[0\]\.detial: got"),
        ("[[fault]]", "[[faults]]", "got 'faults'"),
        ("[[fault]]", "[[fault", "not TOML"),
    ],
)
def test_a_wrong_entry_names_file_and_field(
    tmp_path: Path, before: str, after: str, named: str
) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(ENTRY.replace(before, after))
    with pytest.raises(ReleaseToolError, match=f"faults.toml: .*{named}"):
        read_faults(file)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MIT", {"license": {"id": "MIT"}}),
        ("Apache Software License", {"license": {"id": "Apache-2.0"}}),
        ("BSD", {"license": {"name": "BSD"}}),
        ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"}),
        ("MIT or so", {"license": {"name": "MIT or so"}}),
        ("(MIT)", {"license": {"name": "(MIT)"}}),
    ],
)
def test_licences(name: str, expected: object) -> None:
    assert to_cyclonedx(name) == [expected]


def test_each_distribution_that_is_pinned_has_a_known_licence() -> None:
    pins = {
        canonical(line.partition("==")[0])
        for line in (ROOT / "tools/constraints.txt").read_text("utf-8").splitlines()
    }
    pinned = [it for it in parts_in([Path(sysconfig.get_path("purelib"))]) if it.name in pins]
    assert [it.name for it in pinned if it.licence == UNKNOWN] == []
    assert len(pinned) > 50


def test_the_parts_of_a_requirement_are_all_that_it_needs() -> None:
    parts = {part.name: part for part in installed_parts(["securesystemslib[crypto]>=1"])}
    assert {"securesystemslib", "cryptography", "cffi"} <= parts.keys()
    assert "cffi" in parts["cryptography"].needs
    assert not parts["cffi"].bundled
    plain = {part.name for part in installed_parts(["securesystemslib"])}
    assert "cryptography" not in plain
    with pytest.raises(ReleaseToolError, match="no-such-part: not installed"):
        installed_parts(["no_such.part>1"])
    with pytest.raises(ReleaseToolError, match="not a requirement"):
        read_requirement("==1")


def test_the_parts_in_a_folder_are_bundled(tmp_path: Path) -> None:
    (tmp_path / "A_b-1.5.dist-info").mkdir()
    (tmp_path / "A_b-1.5.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: A.b\nVersion: 1.5\nLicense: MIT\n"
    )
    assert parts_in([tmp_path]) == [Part("a-b", "1.5", "MIT")]


def test_a_package_brings_its_list_of_parts(tool: Tool, validator: Any) -> None:
    built = tool.json("build", "--version", "1.1.0", "--output", "p.tar.gz")
    assert Path(built["sbom"]).name == "p.tar.gz.cdx.json"
    beside = (tool.folder / "p.tar.gz.cdx.json").read_bytes()
    assert faults_of(beside, validator) == []
    assert faults_of((tool.folder / "p.tar.gz.vex.cdx.json").read_bytes(), validator) == []
    told = tool.json("sbom", "p.tar.gz", "--output", "read.json")
    assert (tool.folder / "read.json").read_bytes() == beside
    assert told["sha256"] == hashlib.sha256(beside).hexdigest()
    parts = {it["name"]: it["version"] for it in json.loads(beside)["components"]}
    requires = dict(item.split("==") for item in built["requires"])
    assert {name: parts[name] for name in requires} == requires
    assert {"cryptography", "h11"} <= parts.keys(), "what they need in their turn"

    (tool.folder / "faults.toml").write_text(
        re.sub("versions.*\n", "", ENTRY.replace("Url_Lib3", "h11"))
    )
    told = tool.json("vex", "read.json", "--faults", "faults.toml", "--output", "vex.json")
    assert (told["faults"], told["of"]) == (1, 1)
    assert faults_of((tool.folder / "vex.json").read_bytes(), validator) == []


def test_what_has_no_list_of_parts_says_so(tool: Tool) -> None:
    before = next((ROOT / "tests/upgrade/before").glob("story-machine-*.tar.gz"))
    done = tool("sbom", str(before), "--output", "o")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "it has none" in done.stderr
    assert not (tool.folder / "o").exists()


def test_a_bundles_list_is_the_one_beside_it(tmp_path: Path) -> None:
    bundle = tmp_path / "story-pi-1.1.0.raucb"
    assert read_sbom_beside(bundle) is None
    beside = tmp_path / "story-pi-1.1.0.raucb.cdx.json"
    beside.write_bytes(b"{}")
    assert read_sbom_beside(bundle) == b"{}"
    with beside.open("wb") as file:
        file.truncate(SBOM_MAX + 1)
    with pytest.raises(ReleaseToolError, match=r"1\.0\.raucb\.cdx\.json: it has 1048577 bytes"):
        read_sbom_beside(bundle)
