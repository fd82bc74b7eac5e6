"""Hostile and damaged input: any bytes lead only to the project's own errors."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.clock import parse_record
from ota.errors import ContentError, OtaError
from ota.fetch.bundle_map import parse_map
from ota.fetch.web import Web
from ota.install import rauc
from ota.install.package import parse_info
from ota.launch import boot
from ota.launch.launch import choose_release
from ota.order.task import Task, parse_task
from ota.trial.given_up import parse_given_up
from ota.trust.client import TrustSettings, find_target
from ota.trust.terms import parse_terms
from release.errors import ReleaseToolError
from release.package_files import AddedTarget
from release.repository import Repository
from tests.ota.simulator import URL, Simulator
from wire.errors import WireError
from wire.ota import OtaOrder, order_payload, parse_order

T = TypeVar("T")
# `make fuzz` tries millions.
MANY = settings(max_examples=80, deadline=None)
FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1.0", "FAILED", "check", "", "sha256", 10**400, "2026-01-01T00:00:00Z"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
ORDER = OtaOrder("77", "1.1.0", "1.0.0", f"{URL}/1.1.0.tar.gz", 5, "0" * 32)
TASK = json.loads(Task(ORDER).to_bytes())
BOOT = {
    "active": "1.1.0",
    "previous": None,
    "trial": {"version": "1.1.0", "attempts": 1, "transaction": "77"},
    "last_rollback": {"version": "1.0.9", "reason": "x", "transaction": None},
}
INFO = {
    "format": 1,
    "product": "story-machine",
    "version": "1.1.0",
    "requires_python": ">=3.11",
    "requires": ["tuf==7.0.0"],
    "packages": ["agent"],
    "unpacked_bytes": 5,
    "built": 7,
}
TIME = {"format": 1, "keys": ["k"], "known": {"cloud": {"seconds": 5.0, "ticks": 1.0, "boot": "b"}}}
HISTORY = {
    "format": 1,
    "packages": [
        {"sha256": "a", "version": "1", "times": 1, "transaction": "7", "reason": "x"},
    ],
}
RAUC = {
    "trial": {
        "version": "1.1.0",
        "transaction": "77",
        "slot": "rootfs.1",
        "old_slot": "rootfs.0",
        "boot_id": "b",
        "restarts": 1,
    },
    "last_rollback": {"version": "1.0.9", "reason": "x", "transaction": None},
    "given_up_in": None,
}
# A bundle of three chunks with an image of two data blocks, and its index in one.
MAP_HEAD = {
    "format": 1,
    "length": 40_000,
    "blockSize": 8192,
    "image": {"start": 96, "size": 16_384},
    "index": {"start": 16_480, "size": 128},
}
MAP_TABLES = bytes(3 * 32) + struct.pack("<3I", 8192 | 1 << 24, 0, 128)
TERMS = {
    "product": "p",
    "version": "1",
    "installer": "slots",
    "compatible": {"hardware": ["pi4"], "min_agent": "1"},
    "data_budget": 5,
    "downgrade_from": ["2"],
    "channels": [],
    "revoked": "x",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document, the root first."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def changed(document: Any) -> st.SearchStrategy[Any]:
    """Return the document with some values replaced or removed."""

    def apply(edits: list[tuple[tuple[Any, ...], Any, bool]]) -> Any:
        holder = {"": json.loads(json.dumps(document))}
        for place, value, remove in edits:
            node: Any = holder
            with contextlib.suppress(KeyError, IndexError, TypeError):  # removed by an earlier edit
                *way, last = ("", *place)
                for key in way:
                    node = node[key]
                if remove and place:
                    del node[last]
                else:
                    node[last] = value
        return holder.get("")

    edit = st.tuples(st.sampled_from(places(document)), JSON, st.booleans())
    return st.lists(edit, min_size=1, max_size=3).map(apply)


def damaged(document: Any) -> st.SearchStrategy[bytes]:
    """Return what a disk or a peer may give instead of the document: changed, truncated, or any bytes."""
    whole = changed(document).map(lambda value: json.dumps(value).encode())
    cut = st.integers(0, 400).map(lambda size: json.dumps(document).encode()[:size])
    nested = st.integers(1, 3000).map(lambda depth: b"[" * depth)
    return whole | cut | nested | st.binary(max_size=200)


def read(parse: Callable[[Any], T], data: Any) -> T | None:
    """Return what was read, None if it was refused. What is written again stands outside: an error there is a fault."""
    try:
        return parse(data)
    except WireError:
        return None


@MANY
@given(damaged({"ota": json.loads(order_payload(ORDER))["ota"]}))
def test_order(data: bytes) -> None:
    order = read(parse_order, data)
    assert order is None or parse_order(order_payload(order)) == order


@MANY
@given(damaged(TASK))
def test_task(data: bytes) -> None:
    task = read(parse_task, data)
    assert task is None or parse_task(task.to_bytes()) == task


@MANY
@given(damaged(INFO))
def test_manifest(data: bytes) -> None:
    info = read(parse_info, data)
    assert info is None or parse_info(info.to_bytes()) == info


@MANY
@given(damaged(TIME))
def test_time(data: bytes) -> None:
    record = read(parse_record, data)
    assert record is None or parse_record(record.to_bytes()) == record


@MANY
@given(damaged(RAUC))
def test_trial_of_a_system(data: bytes) -> None:
    record = read(rauc.parse_record, data)
    assert record is None or rauc.parse_record(record.to_bytes()) == record


@MANY
@given(damaged(MAP_HEAD), st.binary(max_size=80) | st.just(MAP_TABLES))
def test_map_of_a_bundle(head: bytes, tables: bytes) -> None:
    for data in (head, head + b"\n" + tables):
        if (found := read(parse_map, data)) is not None:
            assert parse_map(found.to_bytes()).to_bytes() == found.to_bytes()
            assert found.union(found.always()) == list(found.chunks)


def test_the_map_that_is_damaged_is_one() -> None:
    assert parse_map(json.dumps(MAP_HEAD).encode() + b"\n" + MAP_TABLES).length == 40_000


@MANY
@given(damaged(HISTORY))
def test_failed_trials(data: bytes) -> None:
    read(parse_given_up, data)


@MANY
@given(changed(TERMS))
def test_signed_terms(custom: Any) -> None:
    terms = read(parse_terms, custom)
    assert terms is None or parse_terms(terms.to_json()) == terms


@pytest.mark.parametrize(
    ("parse", "document"),
    [
        (parse_order, {"ota": json.loads(order_payload(ORDER))["ota"]}), (parse_task, TASK), (parse_info, INFO), (parse_record, TIME),
        (rauc.parse_record, RAUC), (parse_given_up, HISTORY),
    ],
)  # fmt: skip
def test_each_document_that_is_damaged_is_one(
    parse: Callable[[bytes], object], document: Any
) -> None:
    assert parse(json.dumps(document).encode()) is not None


def test_the_terms_that_are_changed_are_some() -> None:
    assert parse_terms(TERMS).to_json() == TERMS


@FEW
@given(data=damaged(BOOT))
def test_boot_record(data: bytes, tmp_path: Path) -> None:
    """Whatever is on the disk, the launcher does not raise, and starts no missing release."""
    path = tmp_path / "slots/boot.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    decision = choose_release(tmp_path)
    assert decision.version is None
    with contextlib.suppress(boot.BootRecordError, UnicodeDecodeError):
        boot.parse_boot(data.decode())


@pytest.fixture(scope="module")
def repo() -> Simulator:
    simulator = Simulator()
    simulator.add(b"package", "1.1.0")
    simulator.publish()
    return simulator


@pytest.mark.parametrize("role", ["2.root", "timestamp", "2.snapshot", "2.targets"])
def test_metadata(
    role: str, repo: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hostile metadata from the server, and damaged metadata on the disk."""
    root = tmp_path / "root.json"
    root.write_bytes(repo.trusted_root)
    name = f"metadata/{role}.json"
    honest = dict(repo.files)
    document = json.loads(honest.get(name, repo.trusted_root))
    monkeypatch.setattr(
        Web, "get", lambda _self, url, headers=None, **_limits: repo.get(url, headers)
    )
    trust = TrustSettings("story-machine", URL, root, tmp_path / "metadata")
    order = repo.order("1.1.0")

    @FEW
    @given(data=damaged(document), sign=st.booleans())
    def attack(data: bytes, *, sign: bool) -> None:
        if sign:
            data = resigned(repo, role, data)
        repo.files = {**honest, name: data}
        with contextlib.suppress(OtaError):
            find_target(trust, order, "1.0.0", threading.Event())
        local = tmp_path / f"metadata/{role.rpartition('.')[2]}.json"
        if local.exists() and "root" not in role:
            local.write_bytes(data)
        repo.files = dict(honest)
        # A changed version with a valid signature counts as newer from then on; nothing else may persist.
        allowed = contextlib.suppress(ContentError) if sign else contextlib.nullcontext()
        with allowed:
            find_target(trust, order, "1.0.0", threading.Event())
        for path in tmp_path.glob("metadata/**/*.json"):
            path.unlink()

    attack()


def resigned(repo: Simulator, role: str, data: bytes) -> bytes:
    """Sign the content with the role's own key, as a thief of the key could."""
    from securesystemslib.formats import encode_canonical

    kind = role.rpartition(".")[2]
    try:
        document = json.loads(data)
        payload = str(encode_canonical(document["signed"])).encode()
        signature = repo.signers[kind][0].sign(payload)
        document["signatures"] = [signature.to_dict()]
        return json.dumps(document).encode()
    except Exception:  # noqa: BLE001  # what cannot be signed is served as it is
        return data


@pytest.mark.parametrize(
    "name", [f"metadata/{role}.json" for role in ("root", "timestamp", "3.snapshot", "3.targets")]
    + ["metadata/1.toaster.json", "metadata/2.root.json", "staged/targets.json", "staged/root.json"]
)  # fmt: skip
def test_a_release_repository(
    name: str, repository: Repository, added: AddedTarget, tmp_path: Path
) -> None:
    """Damaged or foreign metadata gives the release tool an error of one line, and no key signs it."""
    repository.change_keys("toaster", 1)
    folder, keys = repository.folder, tmp_path / "keys"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    source = path if path.exists() else folder / f"metadata/{3 if 'targets' in name else 1}.{path.name}"  # fmt: skip
    source = source if source.exists() else folder / "metadata/root.json"
    honest_document = json.loads(source.read_bytes())
    honest = {file: file.read_bytes() for file in folder.rglob("*.json")}

    @FEW
    @given(document=changed(honest_document))
    def damage(document: Any) -> None:
        path.write_text(json.dumps(document))
        for act in (
            lambda: Repository(folder).show(),
            lambda: Repository(folder).verify(),
            lambda: Repository(folder, keys).sign(),
            lambda: Repository(folder, keys).publish(),
            lambda: Repository(folder, keys).refresh(),
            lambda: Repository(folder, keys).change_keys("timestamp", 0),
            lambda: Repository(folder, keys).edit_terms(added.product, "1.1.0", lambda t: t),
        ):
            with contextlib.suppress(ReleaseToolError, WireError):
                act()
        for file in folder.rglob("*.json"):
            file.unlink()
        for file, content in honest.items():
            file.write_bytes(content)

    damage()
