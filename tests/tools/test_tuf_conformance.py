"""The conformance command against a simulated repository behind a real server.

The cases cover the subjects of the TUF project's suite (which is not on PyPI and cannot be installed
here): basic workflow, expiry, rollback, key rotation, thresholds, delegation, download and caching.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, Targets  # type: ignore[attr-defined]

from tests.ota.simulator import WEEK, Simulator
from tools import tuf_conformance as conformance

NAME = "story-machine/1.1.0.tar.gz"


class Client:
    """The command with its folders, and the repository that it reads."""

    def __init__(self, repo: Simulator, server: Any, folder: Path) -> None:
        self.repo, self.server = repo, server
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.root = folder / "initial_root.json"
        self.root.write_bytes(repo.trusted_root)

    def __call__(self, command: str, *more: str, name: str = NAME) -> int:
        self.serve()
        return conformance.main([
            *("--metadata-dir", str(self.metadata), "--target-dir", str(self.targets)),
            *("--metadata-url", f"{self.server.url}/metadata", "--target-name", name),
            *("--target-base-url", f"{self.server.url}/targets", command, *more),
        ])  # fmt: skip

    def serve(self) -> None:
        for name, data in self.repo.files.items():
            path = self.server.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def trusted(self, role: str) -> int:
        """Return the version that the client trusts."""
        signed = json.loads((self.metadata / f"{role}.json").read_bytes())["signed"]
        return int(signed["version"])

    def asked(self) -> list[str]:
        asked = [path for path, _range in self.server.requests]
        self.server.requests.clear()
        return asked


@pytest.fixture
def client(server: Any, tmp_path: Path) -> Client:
    repo = Simulator()
    repo.add(b"package" * 1000, "1.1.0")
    repo.publish()
    made = Client(repo, server, tmp_path)
    assert made("init", str(made.root)) == 0
    assert made.asked() == []
    return made


def test_refresh_and_refresh_again(client: Client) -> None:
    assert client("refresh") == 0
    assert client.asked() == [
        f"/metadata/{name}.json" for name in ("2.root", "timestamp", "2.snapshot", "2.targets")
    ]
    assert client("refresh") == 0
    assert client.asked() == ["/metadata/2.root.json", "/metadata/timestamp.json"]
    client.repo.publish()
    assert client("refresh") == 0
    assert [client.trusted(role) for role in ("timestamp", "snapshot", "targets")] == [3, 3, 3]


def test_a_target_is_downloaded_once(client: Client) -> None:
    assert client("download") == 0
    assert [path.read_bytes() for path in client.targets.iterdir()] == [b"package" * 1000]
    client.asked()
    assert client("download") == 0
    assert not [path for path in client.asked() if path.startswith("/targets/")]


def test_a_changed_target_replaces_the_old(client: Client) -> None:
    assert client("download") == 0
    client.repo.add(b"another", "1.1.0")
    client.repo.publish()
    assert client("download") == 0
    assert [path.read_bytes() for path in client.targets.iterdir()] == [b"another"]


REFUSED: dict[str, Callable[[Simulator], None]] = {}


def case(function: Callable[[Simulator], None]) -> Callable[[Simulator], None]:
    REFUSED[function.__name__] = function
    return function


@case
def unsigned_timestamp(repo: Simulator) -> None:
    repo.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
    repo.publish()


@case
def unsigned_targets(repo: Simulator) -> None:
    repo.signers["targets"] = [CryptoSigner.generate_ed25519()]
    repo.publish()


@case
def the_same_key_twice_is_one_signature(repo: Simulator) -> None:
    repo.root.roles["timestamp"].threshold = 2
    repo.signers["timestamp"] *= 2
    repo.publish_root()
    repo.publish()


@case
def expired_root(repo: Simulator) -> None:
    repo.root.expires = repo.now - timedelta(days=1)
    repo.publish_root()


@case
def expired_timestamp(repo: Simulator) -> None:
    repo.timestamp.expires = repo.now - timedelta(days=1)
    repo.publish()


@case
def expired_snapshot(repo: Simulator) -> None:
    repo.snapshot.expires = repo.now - timedelta(days=1)
    repo.publish()


@case
def expired_targets(repo: Simulator) -> None:
    repo.targets.expires = repo.now - timedelta(days=1)
    repo.publish()


@case
def root_that_skips_a_version(repo: Simulator) -> None:
    repo.root.version += 2
    repo.files["metadata/2.root.json"] = repo.sign(repo.root)


@case
def snapshot_without_targets(repo: Simulator) -> None:
    repo.publish()
    repo.snapshot.version += 1
    del repo.snapshot.meta["targets.json"]
    repo.timestamp.version += 1
    repo.timestamp.snapshot_meta.version = repo.snapshot.version
    repo.serve(repo.snapshot, repo.timestamp)


@case
def timestamp_that_is_no_json(repo: Simulator) -> None:
    repo.files["metadata/timestamp.json"] = b"\x00{"


@case
def a_role_under_another_roles_name(repo: Simulator) -> None:
    repo.files["metadata/timestamp.json"] = repo.sign(repo.targets)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(client: Client, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert client("refresh") == 0
    before = client.trusted("targets")
    REFUSED[name](client.repo)
    assert client("refresh") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert client.trusted("targets") == before


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_key_rotation_is_followed(client: Client, role: str) -> None:
    assert client("refresh") == 0
    client.repo.rotate(role)
    client.repo.publish()
    assert client("refresh") == 0
    assert client.trusted("root") == 2
    assert client.trusted("targets") == client.repo.targets.version


def test_many_roots_in_one_refresh(client: Client) -> None:
    for _number in range(20):
        client.repo.rotate("root")
    assert client("refresh") == 0
    assert client.trusted("root") == 21


def test_an_expired_root_in_between_is_passed(client: Client) -> None:
    end = client.repo.root.expires
    client.repo.root.expires = client.repo.now - WEEK
    client.repo.publish_root()
    client.repo.root.expires = end
    client.repo.publish_root()
    assert client("refresh") == 0


@pytest.mark.parametrize("signed", [True, False])
def test_a_delegated_target(client: Client, *, signed: bool) -> None:
    repo = client.repo
    owner = CryptoSigner.generate_ed25519()
    key = owner.public_key
    role = DelegatedRole("toaster", [key.keyid], 1, terminating=True, paths=["toaster/*"])
    repo.targets.delegations = Delegations({key.keyid: key}, {"toaster": role})
    delegated = Targets(expires=repo.now + WEEK)
    repo.add(b"toast", "1.0.0", product="toaster")
    delegated.targets["toaster/1.0.0.tar.gz"] = repo.targets.targets.pop("toaster/1.0.0.tar.gz")
    repo.signers["toaster"] = [owner if signed else CryptoSigner.generate_ed25519()]
    repo.files["metadata/1.toaster.json"] = repo.sign(delegated, "toaster")
    repo.snapshot.meta["toaster.json"] = MetaFile(1)
    repo.publish()
    assert client("download", name="toaster/1.0.0.tar.gz") == (0 if signed else 1)
    assert client.targets.exists() is signed


def test_download_of_an_unknown_target(client: Client) -> None:
    assert client("download", name="story-machine/9.tar.gz") == 1


def test_download_of_other_bytes_than_signed(client: Client) -> None:
    path = next(path for path in client.repo.files if path.startswith("targets/"))
    client.repo.files[path] = bytes(len(client.repo.files[path]))
    assert client("download") == 1
    assert not [path for path in client.targets.iterdir() if path.is_file()]


def served(repo: Simulator) -> str:
    """Return the name under which the package is served."""
    return next(path for path in repo.files if path.startswith("targets/"))


def test_a_refused_download_costs_the_next_one_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ota.fetch.spent.SPENT_STEP", 1000)  # as for a package of many MiB
    path = served(client.repo)
    good = client.repo.files[path]
    client.repo.files[path] = bytes(len(good))
    for _try in range(6):  # more than the data budget of one update
        assert client("download") == 1
    assert not list(client.targets.iterdir())
    client.repo.files[path] = good
    assert client("download") == 0
    assert [found.read_bytes() for found in client.targets.iterdir()] == [good]


@pytest.mark.parametrize("right", [True, False])
def test_every_signed_hash_is_held_against_the_bytes(client: Client, *, right: bool) -> None:
    data = client.repo.files[served(client.repo)]
    signed = hashlib.sha512(data if right else b"other").hexdigest()
    client.repo.targets.targets[NAME].hashes["sha512"] = signed
    client.repo.publish()
    assert client("download") == (0 if right else 1)
    found = [path.read_bytes() for path in client.targets.iterdir()]
    assert found == ([data] if right else [])


def test_a_target_without_sha256_is_refused_unread(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    # An update refuses it too: its files, its order and its map use SHA-256.
    data = client.repo.files[served(client.repo)]
    client.repo.targets.targets[NAME].hashes = {"sha512": hashlib.sha512(data).hexdigest()}
    client.repo.publish()
    client.asked()
    assert client("download") == 1
    assert capsys.readouterr().err == "bad target: no sha256 in the signed hashes\n"
    assert not [path for path in client.asked() if path.startswith("/targets/")]


def test_what_is_missing_is_said(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--metadata-dir", str(client.metadata), "refresh"]) == 1
    assert capsys.readouterr().err == "--metadata-url is missing\n"
