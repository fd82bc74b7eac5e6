"""Trusted time: what raises the floor, what survives a restart, and TLS with it."""

from __future__ import annotations

import json
import math
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import base.clock
from base.clock import EARLIEST, TimeSource, TrustedTime, parse_record
from base.files import write_atomically
from ota.errors import ContentError, FetchError
from ota.fetch.source import WebSettings
from ota.fetch.web import Web
from ota.trust.client import SIGNED_AT, TIME_FORMAT, TrustSettings, find_target
from ota.trust.target import Target
from release.package_files import AddedTarget
from release.repository import Repository
from release.tuf_types import Metadata
from tests.authority import HOUR, Authority

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LIFETIME_SECONDS = 946_080_000.0
WRITE_STEP = 21_600.0

DAY = 86400.0
THEN = EARLIEST + 100 * DAY


class ClockRig:
    """A clock, ticks and boots that the test controls."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.ticks, self.boot = path, 0.0, 10.0, "first"

    def start(self, built: float = EARLIEST) -> TrustedTime:
        return TrustedTime(
            self.path, built, wall=lambda: self.clock, ticks=lambda: self.ticks, boot=self.boot
        )


@pytest.fixture
def rig(tmp_path: Path) -> ClockRig:
    return ClockRig(tmp_path / "ota/time.json")


def test_a_clock_over_the_floor_is_believed(rig: ClockRig) -> None:
    rig.clock = THEN
    time = rig.start()
    assert (time.now(), time.believes_clock, time.disbelief()) == (THEN, True, None)


def test_the_clouds_time_counts_for_the_start_in_which_it_was_told(rig: ClockRig) -> None:
    time = rig.start()
    assert not time.was_told
    assert (time.from_cloud, time.note_cloud(THEN)) == (False, True)
    assert time.from_cloud
    assert rig.start().from_cloud  # the agent was restarted, the machine was not
    rig.boot = "second"
    assert rig.start().was_told
    assert not rig.start().from_cloud


class Watched:
    """A lock that tells when somebody waits for it."""

    def __init__(self, is_awaited: threading.Event) -> None:
        self._lock, self._is_awaited = threading.Lock(), is_awaited

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._is_awaited.set()
            self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def test_of_two_times_that_come_at_once_both_are_on_the_disk(
    rig: ClockRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write of the first is held until the second waits for it, or has overtaken it."""
    writes, came = threading.Event(), threading.Event()

    def write(path: Path, data: bytes) -> None:
        if not writes.is_set():
            writes.set()
            assert came.wait(60)
            write_atomically(path, data)
        else:
            write_atomically(path, data)
            came.set()

    monkeypatch.setattr(base.clock, "write_atomically", write)
    time = rig.start()
    monkeypatch.setattr(time, "_lock", Watched(came))
    first = threading.Thread(target=time.note_cloud, args=(THEN,))
    first.start()
    assert writes.wait(60)
    time.note_metadata(THEN + DAY, ["key"])
    first.join(60)
    record = parse_record(rig.path.read_bytes())
    assert set(record.known) == {TimeSource.CLOUD, TimeSource.METADATA}


def test_a_machine_that_wakes_in_1970_knows_when_it_was_built(
    rig: ClockRig, caplog: pytest.LogCaptureFixture
) -> None:
    time = rig.start(built=THEN)
    assert time.floor() == (THEN, TimeSource.BUILD)
    assert not time.believes_clock
    assert "the clock says 1970-01-01 00:00:00Z, build says it is 2027-03-02" in caplog.text


def test_ticks_count_while_the_clock_is_wrong(rig: ClockRig) -> None:
    time = rig.start()
    time.note_cloud(THEN)
    rig.ticks += 3 * DAY
    assert time.now() == THEN + 3 * DAY


def test_the_floor_survives_restart_and_reboot(rig: ClockRig) -> None:
    rig.start().note_cloud(THEN)
    rig.ticks += 60
    assert rig.start().now() == THEN + 60
    rig.boot, rig.ticks = "second", 25.0
    assert rig.start().now() == THEN + 25
    assert rig.start().floor()[1] is TimeSource.CLOUD


def test_it_is_written_seldom(rig: ClockRig) -> None:
    time = rig.start()
    time.note_cloud(THEN)
    before = rig.path.stat().st_mtime_ns, rig.path.read_bytes()
    for minute in range(60):
        time.note_cloud(THEN + minute * 60)
    assert (rig.path.stat().st_mtime_ns, rig.path.read_bytes()) == before
    time.note_cloud(THEN + WRITE_STEP)
    assert rig.path.read_bytes() != before[1]


def test_metadata_only_goes_forward_and_the_cloud_corrects_itself(rig: ClockRig) -> None:
    time = rig.start()
    time.note_metadata(THEN, ["k"])
    time.note_metadata(THEN - DAY, ["k"])
    assert time.floor() == (THEN, TimeSource.METADATA)
    time.note_cloud(THEN + 50 * DAY)
    time.note_cloud(THEN + 2 * DAY)
    assert time.floor() == (THEN + 2 * DAY, TimeSource.CLOUD)
    time.note_cloud(EARLIEST + DAY)
    assert time.floor() == (THEN, TimeSource.METADATA)


@pytest.mark.parametrize(
    "seconds", [0.0, EARLIEST - 1, EARLIEST + LIFETIME_SECONDS + 1, math.inf, math.nan]
)
def test_impossible_times_are_ignored(rig: ClockRig, seconds: float) -> None:
    time = rig.start()
    assert not time.note_cloud(seconds)
    assert not time.note_metadata(seconds, ["k"])
    assert time.floor()[0] == EARLIEST
    assert not rig.path.exists()


def test_the_word_of_withdrawn_keys_is_forgotten(rig: ClockRig) -> None:
    time = rig.start()
    time.note_cloud(THEN)
    time.note_metadata(THEN + 1000 * DAY, ["stolen"])
    assert not time.forget_metadata(["stolen"])
    assert time.forget_metadata(["new"])
    assert time.floor() == (THEN, TimeSource.CLOUD)
    assert rig.start().floor() == (THEN, TimeSource.CLOUD)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"known": 5, "keys": []}', b"\xff"])
def test_a_damaged_file_is_as_good_as_none(
    rig: ClockRig, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    rig.path.parent.mkdir()
    rig.path.write_bytes(data)
    assert rig.start().floor()[1] is TimeSource.BUILD
    assert "cannot be read" in caplog.text
    assert rig.start().note_cloud(THEN)
    assert json.loads(rig.path.read_bytes())["known"]["cloud"]["seconds"] == THEN


@pytest.mark.parametrize("source", ["cloud", "metadata"])
def test_a_time_on_disk_that_no_source_may_claim_is_dropped(
    rig: ClockRig, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    """One flipped bit, and every certificate and all metadata would have expired for ever."""
    rig.start().note_metadata(THEN, ["k"])
    rig.start().note_cloud(THEN)
    record = json.loads(rig.path.read_bytes())
    record["known"][source]["seconds"] = EARLIEST + LIFETIME_SECONDS + 1
    rig.path.write_text(json.dumps(record))
    assert rig.start().floor()[0] == THEN
    assert f"{source} on disk gives an impossible time" in caplog.text


def test_a_disk_that_fails_leaves_the_floor_in_memory(
    rig: ClockRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.path.parent.write_bytes(b"no folder")
    time = rig.start()
    assert time.note_cloud(THEN)
    assert time.floor() == (THEN, TimeSource.CLOUD)
    assert "not on disk" in caplog.text


@pytest.fixture
def https(server: Any, tmp_path: Path) -> Any:
    """Serve tmp_path/www over TLS; returns (certificate's start and end) → URL, CA file."""
    authority = Authority()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(authority.pem)
    (server.root / "x").write_bytes(b"here")

    def wrap(start: Any = -HOUR, end: Any = HOUR) -> tuple[str, Path]:
        context = authority.server_context(start=start, end=end)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server.url.replace("http:", "https:") + "/x", ca_file

    return wrap


def test_a_signed_time_far_ahead_does_not_close_the_way_to_the_root_that_voids_it(
    https: Any, repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any
) -> None:
    """A stolen timestamp key signs a time at which the server's certificate has expired."""
    root = tmp_path / "root.json"
    root.write_bytes(repository.root_file.read_bytes())
    url, ca_file = https()
    clock = TrustedTime(tmp_path / "time.json")
    trust = TrustSettings(
        helpers.PRODUCT, url[:-2], root, tmp_path / "m", web=WebSettings(60, 60, ca_file, clock)
    )

    def find() -> Target:
        order = helpers.order_for(added, url[:-2])
        return find_target(trust, order, "1.0.0", threading.Event())

    path = repository.metadata_dir / "timestamp.json"
    stolen: Any = Metadata.from_bytes(path.read_bytes())
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9 * 365)
    stolen.signed.version += 1
    stolen.signed.expires = ahead + timedelta(days=7)
    stolen.signed.unrecognized_fields[SIGNED_AT] = ahead.strftime(TIME_FORMAT)
    stolen.sign(next(s for k, s in repository.keys.signers().items() if k in stolen.signatures))
    path.write_bytes(stolen.to_bytes())
    assert find().version == "1.1.0"
    assert clock.now() >= ahead.timestamp()
    with pytest.raises(ContentError, match="expired metadata"):
        find()
    repository.change_keys("timestamp", 1, None)
    assert find().version == "1.1.0"
    assert clock.now() < ahead.timestamp()


def test_a_server_whose_clock_is_far_ahead_does_not_lock_itself_out(
    https: Any,
    repository: Repository,
    added: AddedTarget,
    server: Any,
    tmp_path: Path,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It sends a time after its own certificate's end, so no correction could be received."""
    url, ca_file = https()
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    web = WebSettings(60, 60, ca_file, clock)
    trust = TrustSettings(helpers.PRODUCT, url[:-2], repository.root_file, tmp_path / "m", web=web)
    ahead = datetime.now(UTC) + timedelta(days=10 * 365)
    monkeypatch.setattr(
        server.RequestHandlerClass, "date_time_string", lambda _self: format_datetime(ahead)
    )
    order = helpers.order_for(added, url[:-2])
    for _time in range(2):
        assert find_target(trust, order, "1.0.0", threading.Event()).version == "1.1.0"
    monkeypatch.undo()
    assert "cloud" not in json.loads((tmp_path / "time.json").read_bytes())["known"]
    find_target(trust, order, "1.0.0", threading.Event())
    assert "cloud" in json.loads((tmp_path / "time.json").read_bytes())["known"]


def test_a_frozen_repository_is_refused_by_the_time_that_its_own_server_says(
    https: Any,
    repository: Repository,
    added: AddedTarget,
    tmp_path: Path,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first contact of a machine that started in 1970: a time that it receives counts at once."""
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    monkeypatch.setattr("release.lifetimes.expiry", lambda _role: past)
    repository.refresh()
    url, ca_file = https()
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    web = WebSettings(60, 60, ca_file, clock)
    trust = TrustSettings(helpers.PRODUCT, url[:-2], repository.root_file, tmp_path / "m", web=web)
    order = helpers.order_for(added, url[:-2])
    with pytest.raises(ContentError, match=r"expired metadata .*cloud says it is"):
        find_target(trust, order, "1.0.0", threading.Event())


def fetch(served: tuple[str, Path], clock: TrustedTime) -> bytes:
    url, ca_file = served
    with Web(WebSettings(60, 60, ca_file, clock)) as web, web.get(url) as body:
        return body.read(100)


def test_https_of_a_machine_that_wakes_in_1970(https: Any) -> None:
    """The certificate is "not yet valid", by OpenSSL's clock too; the floor is not later."""
    assert fetch(https(HOUR / 2, HOUR), TrustedTime(wall=lambda: 0.0)) == b"here"


def test_https_with_an_expired_certificate_is_refused(https: Any) -> None:
    with pytest.raises(FetchError, match="certificate has expired"):
        fetch(https(-HOUR, -HOUR / 2), TrustedTime())


def test_https_with_a_certificate_that_the_floor_outlived(https: Any) -> None:
    """The clock is wrong, and an attacker uses a stolen certificate that has expired since."""
    clock = TrustedTime(wall=lambda: 0.0)
    clock.note_cloud(EARLIEST + 20 * 365 * DAY)
    with pytest.raises(FetchError, match="certificate has expired"):
        fetch(https(), clock)


def test_https_with_a_certificate_of_the_future_and_a_clock_that_is_believed(https: Any) -> None:
    with pytest.raises(FetchError, match="certificate is not yet valid"):
        fetch(https(HOUR / 2, HOUR), TrustedTime())
