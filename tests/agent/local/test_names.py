"""The machine's name at home: a label of DNS whatever the host is called, and one that HTTPS knows."""

from __future__ import annotations

import pytest

from agent.local.gate import Way, find_refusal
from agent.local.names import host_label


@pytest.mark.parametrize(
    ("name", "mac", "label"),
    [
        ("story-machine", "b8:27:eb:12:34:56", "story-machine-123456"),
        ("Kitchen.fritz.box", "B8:27:EB:AB:CD:EF", "Kitchen-abcdef"),
        ("儿童房", "", "story-machine"),
        ("a b", "00:00:00:00:00:01", "a-b-000001"),
        ("x" * 64, "b8:27:eb:12:34:56", "x" * 48 + "-123456"),
        ("", "", "story-machine"),
    ],
)
def test_a_host_has_a_label_that_its_namesake_has_not(name: str, mac: str, label: str) -> None:
    assert host_label(name, mac) == label
    assert len(label) <= 63
    headers = {"host": f"{label}.local:8443", "authorization": "Bearer t"}
    if name:
        assert find_refusal(Way.NETWORK, "GET", headers, "t", name) is None
