"""Each attack on the metadata and each false member of an order, against a real repository and server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import RepositoryError

from ota.errors import (
    ContentError,
    ExpiredMetadataError,
    FetchError,
    MachineError,
    OtaError,
    StoppedError,
)
from ota.fetch.source import WebSettings
from ota.trust.client import TrustSettings, find_target
from ota.trust.target import Target
from release.package_files import AddedTarget
from release.repository import Repository
from wire.ota import OtaEvent


@pytest.fixture
def settings(server: Any, repository: Repository, tmp_path: Path, helpers: Any) -> TrustSettings:
    root = tmp_path / "shipped-root.json"
    root.write_bytes(repository.root_file.read_bytes())
    return TrustSettings(
        product=helpers.PRODUCT,
        repository=server.url,
        root_file=root,
        metadata_dir=tmp_path / "state/metadata",
        web=WebSettings(connect_timeout=5, read_timeout=5),
    )


@pytest.fixture
def find(settings: TrustSettings, added: AddedTarget, server: Any, helpers: Any) -> Any:
    """Request ``added``; keyword arguments are false members of the order."""

    def ask(running: str = "1.0.0", changed: TrustSettings = settings, **lies: Any) -> Target:
        order = helpers.order_for(added, server.url, **lies)
        return find_target(changed, order, running, threading.Event())

    return ask


def refused(check: str, find: Callable[..., Target], **arguments: Any) -> ContentError:
    with pytest.raises(ContentError) as caught:
        find(**arguments)
    assert caught.value.check == check
    assert "\n" not in str(caught.value)
    return caught.value


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    metadata = json.loads(path.read_bytes())
    change(metadata)
    path.write_text(json.dumps(metadata))


def test_a_signed_package_is_found(find: Any, added: AddedTarget, settings: TrustSettings) -> None:
    target = find()
    assert target == Target(added.target, added.size, added.sha256, "1.1.0", added.product)
    assert (settings.metadata_dir / "timestamp.json").is_file()


def test_a_plain_file_name_will_do_too(find: Any) -> None:
    assert find(url="https://cdn.example/x/1.1.0.tar.gz?token=1").version == "1.1.0"


def test_wrong_signature(find: Any, server: Any) -> None:
    def forge(metadata: dict[str, Any]) -> None:
        metadata["signed"]["version"] += 1

    edit(server.root / "metadata/timestamp.json", forge)
    error = refused("wrong signature (arbitrary software)", find)
    assert error.event is OtaEvent.IMAGE_INVALID


def test_key_of_another_repository(find: Any, server: Any, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other", tmp_path / "other-keys")
    other.create()
    for file in other.metadata_dir.iterdir():
        (server.root / "metadata" / file.name).write_bytes(file.read_bytes())
    refused("wrong signature (arbitrary software)", find)


def test_expired_timestamp(
    find: Any, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    monkeypatch.setattr("release.lifetimes.expiry", lambda _role: past)
    repository.refresh()
    error = refused("expired metadata (freeze)", find)
    assert isinstance(error, ExpiredMetadataError)


def test_rollback_of_the_timestamp(find: Any, repository: Repository) -> None:
    timestamp = repository.metadata_dir / "timestamp.json"
    old = timestamp.read_bytes()
    repository.refresh()
    find()
    timestamp.write_bytes(old)
    refused("older metadata (rollback)", find)


def test_mix_and_match(find: Any, server: Any) -> None:
    """Serve an old targets file with valid signatures under the name of the new one."""
    old = (server.root / "metadata/1.targets.json").read_bytes()
    (server.root / "metadata/2.targets.json").write_bytes(old)
    refused("older metadata (rollback)", find)


def test_endless_data(find: Any, server: Any) -> None:
    (server.root / "metadata/timestamp.json").write_bytes(b" " * 100_000)
    refused("metadata without end (endless data)", find)


@pytest.mark.parametrize("data", [b"{}", b"[" * 10_000, b'{"signed": 1, "signatures": 2}'])
def test_metadata_that_is_none(find: Any, server: Any, data: bytes) -> None:
    (server.root / "metadata/timestamp.json").write_bytes(data)
    refused("bad metadata", find)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["timestamp.json", "root.json", "targets.json"])
def test_metadata_that_moved_is_followed(find: Any, server: Any, name: str, code: int) -> None:
    server.scripted = name
    for path in (server.root / "metadata").glob(f"*{name}"):
        (server.root / "moved").mkdir(exist_ok=True)
        (server.root / "moved" / path.name).write_bytes(path.read_bytes())

    def lead(handler: Any, _data: bytes, _start: int) -> None:
        place = f"/moved/{handler.path.rpartition('/')[2]}"
        handler.answer(code, b"", [("Location", place)])
        server.scripted = "nothing more"

    server.script.append(lead)
    assert find().version == "1.1.0"


@pytest.mark.parametrize("place", ["/metadata/timestamp.json", "ftp://h/timestamp.json"])
def test_metadata_is_followed_by_the_rules_of_packages(find: Any, server: Any, place: str) -> None:
    server.scripted = "timestamp.json"

    def lead(handler: Any, _data: bytes, _start: int) -> None:
        handler.answer(302, b"", [("Location", place)])

    server.script.extend([lead] * 9)
    refused("bad redirect", find)
    asked = [path for path, _range in server.requests if path.endswith("timestamp.json")]
    assert len(asked) in {1, 6}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "a web page came instead"),
        (b"\xef\xbb\xbf\n <html>", "a web page came instead"),
        (b"Please log in", "a web page came instead"),
        (b"", "an empty answer"),
    ],
)
@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "targets.json"])
def test_a_page_in_place_of_metadata_passes(
    find: Any, server: Any, name: str, body: bytes, said: str
) -> None:
    server.scripted = name
    server.script.append(
        lambda handler, _data, _start: handler.answer(200, body, [("Content-Type", "text/html")])
    )
    with pytest.raises(FetchError, match=said):
        find()
    assert find().version == "1.1.0"


def test_slow_retrieval(find: Any, settings: TrustSettings) -> None:
    with pytest.raises(FetchError, match="slow retrieval"):
        find(changed=replace(settings, deadline=0.0))


def test_unknown_target(find: Any) -> None:
    error = refused("unknown target", find, version="1.2.0")
    assert "story-machine/1.2.0.tar.gz" in str(error)
    assert error.event is OtaEvent.REJECT


@pytest.mark.parametrize("running", ["1.1.0", "1.1", "1.10.0"])
def test_not_newer(find: Any, running: str) -> None:
    assert running in str(refused("not newer", find, running=running))


@pytest.mark.parametrize(
    ("check", "lies"),
    [
        ("wrong size", {"size": 5}),
        ("wrong URL", {"url": "http://h/other.tar.gz"}),
        ("wrong URL", {"url": f"http://h/{'0' * 64}.1.1.0.tar.gz"}),
        ("wrong URL", {"url": "http://["}),
    ],
)
def test_an_order_that_disagrees(find: Any, check: str, lies: dict[str, Any]) -> None:
    refused(check, find, **lies)


def test_unreachable_repository_is_worth_another_try(find: Any, settings: TrustSettings) -> None:
    with pytest.raises(FetchError, match="refused"):
        find(changed=replace(settings, repository="http://127.0.0.1:1"))


def test_a_repository_that_is_not_there(find: Any, settings: TrustSettings, server: Any) -> None:
    with pytest.raises(FetchError, match="HTTP 404"):
        find(changed=replace(settings, repository=f"{server.url}/elsewhere"))


def test_a_connection_that_breaks(find: Any, server: Any) -> None:
    server.scripted = "timestamp.json"
    server.script.append(lambda handler, data, start: handler.send_file(data, start, cut=20))
    with pytest.raises(FetchError):
        find()


def test_a_root_that_is_not_there(find: Any, settings: TrustSettings, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="trusted root"):
        find(changed=replace(settings, root_file=tmp_path / "none"))


def test_damaged_local_metadata_is_fetched_again(find: Any, settings: TrustSettings) -> None:
    find()
    for name in ("timestamp", "snapshot", "targets"):
        (settings.metadata_dir / f"{name}.json").write_bytes(b"\xff\x00")
    assert find().version == "1.1.0"


def test_stopping(settings: TrustSettings, added: AddedTarget, helpers: Any) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        find_target(settings, helpers.order_for(added, settings.repository), "1.0.0", stop)


def test_nothing_but_our_errors_come_out_of_python_tuf(
    find: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (RepositoryError("x"), OSError(5, "x"), KeyError("x"), ValueError("x")):

        def fail(_self: Any, raised: Exception = error) -> None:
            raise raised

        monkeypatch.setattr("tuf.ngclient.updater.Updater.refresh", fail)
        with pytest.raises(OtaError):
            find()
