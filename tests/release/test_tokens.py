"""Keys that never leave their token: story-release with a PKCS#11 library (softhsm2), and a device.

The commands are those of release.commands.keys.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ota.trust.client import TrustSettings, find_target
from release.errors import ReleaseToolError
from release.keys import KeyRing
from release.package_files import AddedTarget

UTIL = shutil.which("softhsm2-util")
LIBRARIES = (
    *Path("/usr/lib").glob("softhsm/libsofthsm2.so"),
    *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
)
LABEL, PIN = "release keys", "483920"
DEADLINE = 60.0
MAKE_KEY = """
import os, sys, pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(os.environ["PYKCS11LIB"]).get_token(token_label=sys.argv[1])
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(sys.argv[4])}
    domain = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    domain.generate_keypair(store=True, id=bytes([int(sys.argv[3])]), label=sys.argv[4])
"""

Release = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a token with a key on each curve: ids 2 and 3."""
    pytest.importorskip(
        "pkcs11", reason="python-pkcs11 is missing: pip install -e . -e './cloud[hsm]'"
    )
    if UTIL is None or not LIBRARIES:
        pytest.skip("softhsm2 is missing: make setup installs it")
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    environment = os.environ | {
        "SOFTHSM2_CONF": str(configuration),
        "PYKCS11LIB": str(LIBRARIES[0]),
        "STORY_RELEASE_PIN": PIN,
    }
    options = ("--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN)
    start([UTIL, "--init-token", *options], environment)
    for number, curve in ((2, "secp256r1"), (3, "secp384r1")):
        start([sys.executable, "-c", MAKE_KEY, LABEL, PIN, str(number), curve], environment)
    return environment


def start(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=DEADLINE)


@pytest.fixture
def release(token: dict[str, str]) -> Release:
    def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "release.cli", *words, "--json"],
            env=token | environment, capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip

    return run


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command failed with one line, without the PIN."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert PIN not in done.stderr
    return done.stderr


@pytest.mark.timeout(240)  # a dozen commands, each a process
def test_a_product_whose_releases_two_keys_on_a_token_sign(
    release: Release, server: Any, tmp_path: Path, helpers: Any
) -> None:
    repo, online, stick = server.root, tmp_path / "online", tmp_path / "stick"
    both = ("--repo", repo, "--keys")
    answer(release("init", *both, online))
    keys: list[str | Path] = []
    for name, number in (("ann", "2"), ("ben", "3")):
        of_token = ("--token", LABEL, "--token-key", number)
        answer(release("key", "new", name, "--keys", stick, *of_token))
        keys += ["--public", stick / f"{name}.pub.pem"]
        assert "PRIVATE" not in "".join(path.read_text() for path in stick.iterdir())
    product: str = helpers.PRODUCT
    answer(release("key", "add", product, *both, online, *keys, "--threshold", "2"))
    package = helpers.make_package(tmp_path / "p.tar.gz", "1.1.0")
    words = ("add", package, *both, online, "--product", product, "--version", "1.1.0")
    added = answer(release(*words))
    assert "0/2" in json.dumps(added["staged"])
    # The token is locked, missing, or another one: nothing is signed, and the line gives the reason.
    assert "the token needs a PIN; give STORY_RELEASE_PIN" in refusal(
        release("sign", *both, stick, STORY_RELEASE_PIN="")
    )
    assert "PinIncorrect" in refusal(release("sign", *both, stick, STORY_RELEASE_PIN="000000"))
    assert "PYKCS11LIB" in refusal(release("sign", *both, stick, PYKCS11LIB=""))
    assert "No PKCS#11 token found for label other" in refusal(
        release("key", "new", "cem", "--keys", stick, "--token", "other")
    )
    signed = answer(release("sign", *both, stick))
    assert "ready" in json.dumps(signed["staged"])
    assert product in json.dumps(answer(release("publish", *both, online))["published"])
    target = AddedTarget(**{name: added[name] for name in AddedTarget.__dataclass_fields__})
    settings = TrustSettings(
        product, server.url, repo / "metadata" / "1.root.json", tmp_path / "metadata"
    )
    order = helpers.order_for(target, server.url)
    assert find_target(settings, order, "1.0.0", threading.Event()).version == "1.1.0"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"keyid": 5, "key": []}', b"\xff"])
def test_a_tokens_file_that_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ann.token.json").write_bytes(data)
    with pytest.raises(ReleaseToolError, match=r"ann\.token\.json: not what `key new --token`"):
        KeyRing(tmp_path).signers()
