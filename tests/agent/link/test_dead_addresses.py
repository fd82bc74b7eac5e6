"""A host with dead addresses beside a live one, in a network namespace: both links connect all the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker import require_broker

ROOT = Path(__file__).parents[3]
# Linux with user namespaces; a container may forbid them.
OWN_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]


def may_have_a_network() -> bool:
    if not shutil.which("ip") or not shutil.which("unshare"):
        return False
    words = [*OWN_NETWORK, "ip", "link", "set", "lo", "up"]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


def test_both_links_connect_beside_a_dead_address() -> None:
    """The links' own patience is a minute: without a second try beside the first they would not be up."""
    if not may_have_a_network():
        pytest.skip("no network namespaces here (unshare --map-root-user --net)")
    require_broker()
    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, "-m", "tests.agent.link.dead_addresses"],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 2
    for scene, each in found.items():
        assert each["order"][0] in {"fd00::2", "10.9.9.2"}, scene  # the dead one is tried first
        assert {"coap", "mqtt"} < set(each), scene
