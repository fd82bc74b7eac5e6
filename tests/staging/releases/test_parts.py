"""Reading a list of parts, of ours and of other tools."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.releases.parts import PartRow, read_parts
from wire.errors import WireError


def document(**changes: Any) -> bytes:
    value = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"name": "Story_Agent", "version": "1.0"}},
        "components": [
            {"name": "URL.Lib3", "version": "2", "components": [{"name": "deep", "version": "3"}]},
            {
                "name": "b",
                "version": "1",
                "properties": [{"name": "story:origin", "value": "base"}],
            },
            {"name": "without"},
        ],
    }
    return json.dumps(value | changes).encode()


def test_the_parts_and_the_component_itself() -> None:
    read = read_parts(document())
    assert (read.name, read.version) == ("Story_Agent", "1.0")
    assert read.sha256 == hashlib.sha256(document()).hexdigest()
    assert read.document.encode() == document()
    assert read.parts == {
        PartRow("story-agent", "1.0", bundled=True),
        PartRow("url-lib3", "2", bundled=True),
        PartRow("deep", "3", bundled=True),
        PartRow("b", "1", bundled=False),
    }


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"<bom/>", "SBOM: "),
        (document(bomFormat="SPDX"), "SBOM.bomFormat: got"),
        (document(metadata={}), "SBOM.metadata.component: "),
        (document(metadata={"component": {"name": "a"}}), "SBOM.metadata.component.version: "),
        (document(components={}), "SBOM.components: got"),
        (document(components=[1]), "SBOM.components: got"),
        (document(components=[{"version": "1"}]), "SBOM.components.name: "),
        (document(components=[{"name": "n" * 256, "version": "1"}]), "SBOM.components.name: "),
        (document(components=[{"name": "n", "version": 1}]), "SBOM.components.version: got"),
        (document(components=[{"name": f"n{i}", "version": "1"} for i in range(20_001)]), "20002"),
    ],
)
def test_what_is_no_list_of_parts_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(WireError, match=named):
        read_parts(data)


JSON = st.recursive(st.none() | st.booleans() | st.text() | st.integers(), lambda it: st.lists(it) | st.dictionaries(st.text(), it), max_leaves=8)  # fmt: skip


@given(JSON, JSON, JSON)
def test_nothing_but_a_wire_error_comes_out(metadata: Any, component: Any, properties: Any) -> None:
    component = {"name": "n", "version": component, "properties": properties}
    for changes in ({"metadata": metadata}, {"components": [component, metadata]}):
        try:
            read_parts(document(**changes))
        except WireError:
            continue
