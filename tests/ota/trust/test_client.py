"""Each attack on the metadata and each false member of an order, against a real repository and server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from base.clock import EARLIEST, TimeSource, TrustedTime
from ota.errors import (
    ContentError,
    ExpiredMetadataError,
    FetchError,
    MachineError,
    MisuseError,
    OtaError,
    StoppedError,
)
from ota.fetch.source import WebSettings
from ota.trust.client import (
    SIGNED_AT,
    TrustClient,
    TrustSettings,
    _set_reference_time,
    check_newer,
    find_target,
)
from ota.trust.target import Target
from release.package_files import AddedTarget
from release.repository import Repository
from tests import pki
from tests.base.recorded import SYNC, Recorder
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
        web=WebSettings(connect_timeout=60, read_timeout=60),
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


def test_the_folder_of_the_metadata_is_on_the_disk_before_what_is_in_it(
    find: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, monkeypatch)
    find()
    assert recorder.calls[:2] == [(SYNC, ".", None), (SYNC, "state", None)]


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
    find: Any, server: Any, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    monkeypatch.setattr("release.lifetimes.expiry", lambda _role: past)
    repository.refresh()
    error = refused("expired metadata (freeze)", find)
    assert isinstance(error, ExpiredMetadataError)
    # No time was withdrawn by which it had expired: asking once more could change nothing.
    asked = [path for path, _start in server.requests]
    assert asked.count("/metadata/timestamp.json") == 1


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


def test_metadata_that_is_none(find: Any, server: Any) -> None:
    (server.root / "metadata/timestamp.json").write_bytes(b'{"signed": 1, "signatures": 2}')
    refused("bad metadata", find)


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
@pytest.mark.parametrize(
    "data", [b"{}", b"[" * 10_000, b'{"error": "please log in"}', b'{"signed": {"_type": "times']
)
def test_what_a_network_answers_in_place_of_metadata_passes(
    find: Any, server: Any, role: str, data: bytes
) -> None:
    """A log-in for programs, or a document that a proxy has cut: no attack, and gone with the next try."""
    path = max((server.root / "metadata").glob(f"*{role}.json"))
    whole = path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(FetchError, match=r"no whole metadata|a web page came"):
        find()
    path.write_bytes(whole)
    find()


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
    with pytest.raises(
        FetchError, match="bad redirect"
    ):  # by plain HTTP, so a network may have said it
        find()
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


EXPIRY, FAR = "its own expiry", "2199-01-01T00:00:00Z"


def sign_time(repository: Repository, text: object) -> None:
    """Publish a timestamp that names another time of its signing; None: it names none."""
    path = repository.metadata_dir / "timestamp.json"
    changed: Any = Metadata.from_bytes(path.read_bytes())
    changed.signed.version += 1
    changed.signed.unrecognized_fields.pop(SIGNED_AT)
    if text == EXPIRY:
        text = f"{changed.signed.expires:%Y-%m-%dT%H:%M:%SZ}"
    if text is not None:
        changed.signed.unrecognized_fields[SIGNED_AT] = text
    changed.sign(next(s for k, s in repository.keys.signers().items() if k in changed.signatures))
    path.write_bytes(changed.to_bytes())


@pytest.mark.parametrize("text", [None, "soon", 5, "2031-12-31", EXPIRY, FAR])
def test_a_signed_time_that_is_none_or_not_before_its_own_expiry_moves_no_clock(
    find: Any,
    settings: TrustSettings,
    repository: Repository,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    text: object,
) -> None:
    sign_time(repository, text)
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    changed = replace(settings, web=replace(settings.web, clock=clock))
    assert find(changed=changed).version == "1.1.0"
    assert clock.floor()[1] is not TimeSource.METADATA
    assert ("expected a time" in caplog.text) is (text not in {None, EXPIRY, FAR})


@pytest.mark.parametrize("behind", [True, False])
def test_a_clock_that_is_not_believed_is_told_in_the_log(
    find: Any,
    settings: TrustSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    behind: bool,
) -> None:
    wall = 0.0 if behind else datetime.now(UTC).timestamp() + 60
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: wall)
    find(changed=replace(settings, web=replace(settings.web, clock=clock)))
    told = (
        "the expiry of metadata is checked at trusted time: the clock says 1970-01-01"
        in caplog.text
    )
    assert told is behind


def test_the_time_of_signing_is_a_lower_bound_of_the_time_now(
    find: Any, settings: TrustSettings, repository: Repository, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    sign_time(repository, f"{now:%Y-%m-%dT%H:%M:%SZ}")
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    find(changed=replace(settings, web=replace(settings.web, clock=clock)))
    seconds, source = clock.floor()
    assert source is TimeSource.METADATA
    assert 0 <= seconds - now.timestamp() < 3600  # the clock goes on from there


async def test_an_order_that_is_newer_is_not_asked_about_and_an_equal_one_is_refused(
    settings: TrustSettings, added: AddedTarget, server: Any, helpers: Any
) -> None:
    order = helpers.order_for(added, server.url)
    await check_newer(order, "1.0.9", settings)
    for running in ("1.1", "1.1.0.0"):
        with pytest.raises(ContentError, match=r"version 1\.1\.0, this machine runs 1\.1"):
            await check_newer(order, running, settings)
    assert not server.requests


async def test_a_downgrade_is_refused_by_what_is_signed_or_for_want_of_an_answer(
    settings: TrustSettings, added: AddedTarget, server: Any, helpers: Any
) -> None:
    order = helpers.order_for(added, server.url)
    with pytest.raises(ContentError) as signed:
        await check_newer(order, "1.2.0", settings)
    assert (signed.value.check, "repository:" in str(signed.value)) == ("not newer", False)
    with pytest.raises(ContentError, match=r"repository: .*refused") as silent:
        await check_newer(order, "1.2.0", replace(settings, repository="http://127.0.0.1:1"))
    assert silent.value.check == "not newer"


async def test_a_downgrade_is_refused_when_its_repository_takes_too_long(
    settings: TrustSettings,
    added: AddedTarget,
    server: Any,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = threading.Event()

    def wait(
        _settings: TrustSettings, _order: object, _running: str, stop: threading.Event
    ) -> None:
        if stop.wait(60):
            stopped.set()

    monkeypatch.setattr("ota.trust.client.find_target", wait)
    monkeypatch.setattr("ota.trust.client.ASK_TIMEOUT", 0.05)
    with pytest.raises(ContentError, match=r"repository: no answer in 0\.05 s"):
        await check_newer(helpers.order_for(added, server.url), "1.2.0", settings)
    assert await asyncio.to_thread(stopped.wait, 60)


def test_metadata_may_be_elsewhere_and_a_repository_may_end_in_a_slash(
    find: Any, settings: TrustSettings, server: Any
) -> None:
    (server.root / "metadata").rename(server.root / "signed")
    elsewhere = replace(settings, metadata_url=f"{server.url}/signed/")
    assert find(changed=elsewhere).version == "1.1.0"
    (server.root / "signed").rename(server.root / "metadata")
    assert find(changed=replace(settings, repository=f"{server.url}/")).version == "1.1.0"


def test_without_a_path_the_metadata_is_read_alone(
    settings: TrustSettings, added: AddedTarget
) -> None:
    client = TrustClient(settings, threading.Event())
    assert client.look_up(None) is None
    found = client.look_up(added.target)
    assert found is not None
    assert found.length == added.size
    assert client.consistent_snapshot
    assert not client.forget_withdrawn_time()


def test_a_withdrawn_time_is_not_looked_for_in_a_root_that_cannot_be_read(
    settings: TrustSettings,
) -> None:
    assert not TrustClient(settings, threading.Event()).forget_withdrawn_time()


def test_another_python_tuf_is_told_and_not_trusted_with_its_own_time() -> None:
    for inside in (SimpleNamespace(), SimpleNamespace(reference_time=5)):
        with pytest.raises(MisuseError, match="keeps its time elsewhere"):
            _set_reference_time(cast("Any", SimpleNamespace(_trusted_set=inside)), 0.0)


@pytest.fixture
def over_tls(server: Any, settings: TrustSettings, tmp_path: Path) -> TrustSettings:
    """Let the repository be served over TLS, by a server whose time is told in each answer."""
    key = pki.make_key()
    root = pki.authority("root", key)
    context = pki.server_context(pki.server(("root", key)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    (tmp_path / "ca.pem").write_text(pki.pem_of(root))
    clock = TrustedTime(built=EARLIEST)
    web = WebSettings(60, 60, ca_file=tmp_path / "ca.pem", clock=clock)
    return replace(settings, repository=server.url.replace("http:", "https:"), web=web)


@pytest.mark.parametrize("date", ["the server's", "no date", None])
def test_the_time_of_a_server_whose_certificate_is_good_is_taken(
    find: Any, over_tls: TrustSettings, monkeypatch: pytest.MonkeyPatch, date: str | None
) -> None:
    if date != "the server's":
        monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date or "")
    assert find(changed=over_tls).version == "1.1.0"
    assert over_tls.clock.from_cloud is (date == "the server's")
