"""Fetching parts of an image: the requested ranges, the checks, and the fallback to the whole."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ota.errors import (
    ContentError,
    FetchError,
    IncompletePackageError,
    MachineError,
    NoSpaceError,
    StoppedError,
)
from ota.fetch.bundle_map import BLOCK, CHUNK, parse_map
from ota.fetch.packages import Package, fetch_package, install_package
from ota.fetch.parts import runs_of
from ota.fetch.retry import RetryPolicy
from ota.fetch.source import DownloadSettings
from ota.fetch.web import WebSettings
from ota.order.states import State
from ota.order.task import Task, parse_task
from ota.settings import UpdaterSettings
from ota.trust.target import Target, map_file_name
from ota.trust.terms import MapFile
from ota.updater import Updater
from release.bundle_maps import make_map
from release.cli import main
from release.errors import ReleaseToolError
from release.repository import Repository
from tests.ota.bundle import (
    TAIL,
    Rauc,
    change,
    index_of,
    make_bundle,
    make_image,
    needs_squashfs,
)
from tests.ota.updater_rig import Kills, NotedRestarts, Outbox, Surroundings, until
from wire.codes import Code
from wire.errors import WireError
from wire.ota import InstallerKind, OtaEvent, OtaOrder, order_payload

pytestmark = needs_squashfs
FAST = RetryPolicy(attempts=3, total=20, first=0.001, longest=0.002)
OLD = make_image()
NEW = change(OLD, 300, 301, 302, 700)
Fault = Callable[[Any, bytes, int], None]


@dataclass
class Site:
    """A server with a bundle and its map, and a machine that runs the old image."""

    server: Any
    folder: Path
    bundle: bytes
    target: Target
    settings: UpdaterSettings
    rauc: Rauc
    order: OtaOrder

    def fetch(self, stop: threading.Event | None = None, **changes: Any) -> Package:
        settings = replace(self.settings, **changes)
        return fetch_package(
            self.order, self.target, settings, self.rauc, stop or threading.Event(), self.seen
        )

    def seen(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def install(self, package: Package) -> None:
        install_package(self.rauc, package, self.target, threading.Event(), self.seen)

    @property
    def package_requests(self) -> list[str | None]:
        return [asked for path, asked in self.server.requests if path.endswith(".tar.gz")]

    @property
    def whole(self) -> bool:
        """Whether the package was requested as a whole."""
        return self.package_requests[-1:] == [None]

    @property
    def fetched(self) -> int:
        size = 0
        for asked in self.package_requests:
            assert asked is not None
            first, _dash, last = asked.removeprefix("bytes=").partition("-")
            size += int(last) + 1 - int(first)
        return size

    def remap(self, data: bytes, *, signed: bool = True) -> None:
        """Serve another map; ``signed``: with matching signed metadata."""
        assert self.target.map is not None
        name = map_file_name("1.1.0", self.target.map.sha256)
        if signed:
            sha256 = hashlib.sha256(data).hexdigest()
            self.target = replace(self.target, map=MapFile(len(data), sha256, self.target.map.md5))
            name = map_file_name("1.1.0", sha256)
        (self.server.root / name).write_bytes(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    path = make_bundle(tmp_path_factory.mktemp("built") / "new.raucb", NEW)
    return path.read_bytes(), make_map(path).to_bytes()


@pytest.fixture
def site(server: Any, tmp_path: Path, built: tuple[bytes, bytes]) -> Site:
    bundle, bundle_map = built
    sha256, md5 = hashlib.sha256(bundle).hexdigest(), hashlib.md5(bundle).hexdigest()
    map_file = MapFile(len(bundle_map), hashlib.sha256(bundle_map).hexdigest(), md5)
    name = f"{sha256}.1.1.0.tar.gz"
    (server.root / name).write_bytes(bundle)
    (server.root / map_file_name("1.1.0", map_file.sha256)).write_bytes(bundle_map)
    (tmp_path / "a.img").write_bytes(OLD)
    target = Target("p/1.1.0.tar.gz", len(bundle), sha256, "1.1.0", "p", None, map_file)
    settings = UpdaterSettings(
        product="p",
        repository=server.url,
        root_file=tmp_path / "root.json",
        state_dir=tmp_path / "state",
        installer=InstallerKind.RAUC,
        download=DownloadSettings(web=WebSettings(5, 5), retry=FAST),
    )
    rauc = Rauc(tmp_path / "a.img", tmp_path / "b.img")
    order = OtaOrder(
        transaction="77",
        version="1.1.0",
        old_version="1.0.0",
        url=f"{server.url}/{name}",
        size=len(bundle),
        signature=md5,
    )
    return Site(server, tmp_path, bundle, target, settings, rauc, order)


def cut_at(size: int) -> Fault:
    return lambda handler, data, start: handler.send_file(data, start, cut=size)


def with_byte_changed(handler: Any, data: bytes, start: int) -> None:
    handler.send_file(data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :], start)


def gone(handler: Any, _data: bytes, _start: int) -> None:
    handler.answer(404, b"")


def without_ranges(handler: Any, data: bytes, _start: int) -> None:
    handler.answer(200, data)


class TestMap:
    def test_it_reads_as_it_was_written(self, built: tuple[bytes, bytes]) -> None:
        bundle, data = built
        found = parse_map(data)
        assert found.to_bytes() == data
        assert found.length == len(bundle)
        assert all(
            found.fits(chunk, bundle[start : start + length])
            for chunk in found.chunks
            for start, length in [found.span(chunk)]
        )

    def test_what_is_no_map_is_refused_by_name(self, built: tuple[bytes, bytes]) -> None:
        line, tables = built[1].split(b"\n", 1)
        for data in (
            b"",
            b"{}",
            line,
            line + b"\n" + tables[:-1],
            line + b"\n" + tables + b"x",
            line.replace(b'"format": 1', b'"format": 2') + b"\n" + tables,
            line.replace(b'"blockSize": 65536', b'"blockSize": 65535') + b"\n" + tables,
            line.replace(b'"blockSize": 65536', b'"blockSize": 0') + b"\n" + tables,
            line + b"\n" + tables[:-4] + b"\xff\xff\xff\x00",
        ):
            with pytest.raises(WireError, match=r"map|format|blockSize|image|index"):
                parse_map(data)

    def test_any_bytes_are_a_map_or_refused(self, built: tuple[bytes, bytes]) -> None:
        chance = random.Random(3)
        for _case in range(300):
            data = bytearray(built[1])
            for _change in range(chance.randrange(1, 4)):
                data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
            try:
                found = parse_map(bytes(data))
            except WireError:
                continue
            assert set(found.union(found.always())) <= set(found.chunks)

    def test_an_image_without_an_index_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(ContentError, match="expected an image with a block-hash-index"):
            make_map(make_bundle(tmp_path / "b", NEW, b""))

    def test_an_index_of_another_image_is_found_out(self, tmp_path: Path) -> None:
        with pytest.raises(ContentError, match="the index is not the image's"):
            make_map(make_bundle(tmp_path / "b", NEW, index_of(OLD)))

    def test_what_is_no_squashfs_is_refused(self, tmp_path: Path) -> None:
        for data in (b"", b"hsqs", bytes(200), TAIL):
            (tmp_path / "b").write_bytes(data)
            with pytest.raises(ContentError, match="bundle without a map"):
                make_map(tmp_path / "b")


class TestRuns:
    def test_every_chunk_is_in_one_and_there_are_no_more_than_allowed(self) -> None:
        chance = random.Random(5)
        for most in (1, 3, 50):
            chunks = set(chance.sample(range(5000), 400))
            runs = runs_of(chunks, most)
            assert len(runs) <= most
            assert chunks <= {chunk for run in runs for chunk in run}
            assert all(a.stop < b.start for a, b in pairwise(runs))

    def test_neighbours_and_single_gaps_are_one_run(self) -> None:
        assert runs_of([5, 1, 2, 9]) == [range(1, 3), range(5, 6), range(9, 10)]
        assert runs_of([1, 3]) == [range(1, 4)]
        assert runs_of([]) == []


class TestFetch:
    def test_what_is_missing_comes_and_the_new_image_is_whole(self, site: Site) -> None:
        package = site.fetch()
        site.install(package)
        assert site.rauc.other.read_bytes() == NEW
        assert site.rauc.tries == 1
        # The head, two changed places, and the part after the image.
        assert site.fetched < len(site.bundle) // 4
        assert len(site.package_requests) <= 4

    def test_a_whole_new_image_comes_whole(self, site: Site) -> None:
        site.rauc.running.write_bytes(make_image(2))
        site.install(site.fetch())
        assert site.rauc.other.read_bytes() == NEW
        assert site.rauc.tries == 1

    def test_what_came_before_a_kill_is_not_fetched_again(self, site: Site) -> None:
        site.server.script.extend([cut_at(3 * CHUNK + 7), gone])
        with pytest.raises(ContentError, match="refused by the server"):
            site.fetch()
        site.server.requests.clear()
        site.install(site.fetch())
        assert site.rauc.other.read_bytes() == NEW
        # 7 bytes of a chunk do not count; the map is complete.
        assert site.package_requests[0] == f"bytes={3 * CHUNK}-{512 * 1024 - 1}"
        assert not [path for path, _asked in site.server.requests if path.endswith(".map")]

    def test_what_the_disk_lost_is_fetched_again(self, site: Site) -> None:
        package = site.fetch()
        with package.path.open("r+b") as file:
            file.seek(CHUNK + 5)
            file.write(b"lost")
        site.server.requests.clear()
        site.install(site.fetch())
        assert site.rauc.other.read_bytes() == NEW
        assert site.package_requests == [f"bytes={CHUNK}-{2 * CHUNK - 1}"]

    def test_a_stop_is_heard_within_a_body(self, site: Site) -> None:
        stop = threading.Event()

        def stop_and_send(handler: Any, data: bytes, start: int) -> None:
            stop.set()
            handler.send_file(data, start)

        site.server.script.append(stop_and_send)
        with pytest.raises(StoppedError):
            site.fetch(stop)
        site.install(site.fetch())
        assert site.rauc.other.read_bytes() == NEW

    def test_a_connection_that_breaks_goes_on(self, site: Site) -> None:
        site.server.script.extend([cut_at(100_000), cut_at(50_000)])
        site.install(site.fetch())
        assert site.rauc.other.read_bytes() == NEW

    def test_a_server_that_is_gone_ends_it(self, site: Site) -> None:
        site.server.script.extend([cut_at(0)] * 9)
        with pytest.raises(FetchError, match="gave up after 3 attempts"):
            site.fetch()

    def test_a_wrong_byte_is_refused_and_not_kept(self, site: Site) -> None:
        site.server.script.append(with_byte_changed)
        with pytest.raises(ContentError, match="wrong hash: the bytes from 0 on") as caught:
            site.fetch()
        assert caught.value.event is OtaEvent.CHECKSUM_FAIL
        sparse = next(site.settings.download_dir.glob("*.sparse"))
        assert not any(sparse.read_bytes())

    def test_a_file_of_another_length_is_refused(self, site: Site) -> None:
        site.server.script.append(lambda h, data, start: h.send_file(data + b"x", start))
        with pytest.raises(ContentError, match=r"wrong length: the server's file has"):
            site.fetch()

    def test_a_file_that_is_not_there_is_refused(self, site: Site) -> None:
        site.server.script.append(gone)
        with pytest.raises(ContentError, match="refused by the server: HTTP 404"):
            site.fetch()

    def test_no_room_is_said_before_a_byte_comes(self, site: Site) -> None:
        download = replace(site.settings.download, free_space=lambda _path: 1000)
        with pytest.raises(NoSpaceError):
            site.fetch(download=download)
        assert site.package_requests == []

    def test_the_order_with_another_md5_costs_nothing(self, site: Site) -> None:
        site.order = replace(site.order, signature="0" * 32)
        with pytest.raises(ContentError, match="wrong MD5"):
            site.fetch()
        assert site.server.requests == []

    def test_the_budget_counts_parts_over_restarts(self, site: Site) -> None:
        site.target = replace(site.target, data_budget=600_000)
        for _start in range(2):
            with pytest.raises(ContentError, match="budget: spent"):
                site.fetch()
        assert site.fetched < 1_200_000

    def test_the_whole_has_the_budget_that_parts_left(self, site: Site) -> None:
        site.target = replace(site.target, data_budget=len(site.bundle) + 100_000)
        site.server.script.extend([cut_at(400_000), without_ranges])
        with pytest.raises(ContentError, match="budget: spent"):
            site.fetch()


class TestWhole:
    """A fault that prevents fetching parts but not the whole package."""

    @pytest.fixture(autouse=True)
    def _ends_whole(self, site: Site, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        caplog.set_level(logging.INFO, "ota")
        yield
        package = site.fetch()
        assert site.whole
        assert "the package is fetched whole: " in caplog.text
        assert package.fill is None
        assert package.path.read_bytes() == site.bundle
        assert {path.suffix for path in package.path.parent.iterdir()} <= {
            ".part",
            ".json",
            ".spent",
        }

    def test_a_server_without_ranges(self, site: Site) -> None:
        site.server.script.append(without_ranges)

    def test_a_server_with_other_ranges(self, site: Site) -> None:
        site.server.script.append(lambda h, data, start: h.send_file(data, start + 1))

    def test_a_map_that_is_not_there(self, site: Site) -> None:
        for path in site.server.root.glob("*.map"):
            path.unlink()

    def test_a_map_of_other_bytes_than_signed(self, site: Site) -> None:
        site.remap(b"x" * 100, signed=False)

    def test_a_map_without_end(self, site: Site) -> None:
        site.remap(bytes(10**6), signed=False)

    def test_a_signed_map_that_is_none(self, site: Site) -> None:
        site.remap(b"x" * 100)

    def test_a_signed_map_of_another_package(self, site: Site) -> None:
        path = make_bundle(site.folder / "other.raucb", make_image(9) + make_image(8)[: 64 * BLOCK])
        site.remap(make_map(path).to_bytes())

    def test_a_device_that_may_not_be_read(self, site: Site) -> None:
        site.rauc.running = site.folder / "not there"

    def test_a_setting(self, site: Site) -> None:
        site.settings = replace(site.settings, delta=False)

    def test_a_package_that_was_begun_whole(self, site: Site) -> None:
        site.settings.download_dir.mkdir(parents=True)
        (site.settings.download_dir / f"{site.target.sha256}.part").touch()


class TestFill:
    def test_rauc_that_fails_on_parts_gets_the_rest(self, site: Site) -> None:
        package = site.fetch()
        fetched = site.fetched
        site.rauc.running.write_bytes(make_image(2))  # changed after the parts were chosen
        site.install(package)
        assert site.rauc.tries == 2
        assert site.rauc.other.read_bytes() == NEW
        assert package.path.read_bytes() == site.bundle
        assert site.fetched == len(site.bundle) > fetched

    def test_a_bundle_that_rauc_refuses_costs_no_more(self, site: Site) -> None:
        package = site.fetch()
        fetched = site.fetched
        site.rauc.failure = ContentError("refused by RAUC", "signature", OtaEvent.IMAGE_INVALID)
        with pytest.raises(ContentError, match="refused by RAUC"):
            site.install(package)
        assert site.fetched == fetched

    def test_rauc_that_does_not_answer_costs_no_more(self, site: Site) -> None:
        package = site.fetch()
        fetched = site.fetched
        site.rauc.failure = MachineError("RAUC: no answer")
        with pytest.raises(MachineError, match="no answer"):
            site.install(package)
        assert site.fetched == fetched

    def test_a_second_failure_is_the_end(self, site: Site) -> None:
        package = site.fetch()
        site.rauc.running.write_bytes(make_image(2))
        fill = package.fill
        assert fill is not None

        def fill_and_break(stop: threading.Event) -> None:
            fill(stop)
            site.rauc.failure = IncompletePackageError("RAUC: slot is full")

        with pytest.raises(MachineError, match="slot is full"):
            site.install(replace(package, fill=fill_and_break))


class TestRecords:
    def test_the_task_keeps_the_map(self, site: Site) -> None:
        task = replace(Task(site.order), target=site.target)
        assert parse_task(task.to_bytes()).target == site.target


def add(repository: Repository, file: Path, keys: Path) -> int:
    words = ["add", str(file), "--repo", str(repository.folder), "--keys", str(keys)]
    return main([*words, "--product", "p", "--version", "1.1.0", "--installer", "rauc"])


class TestRelease:
    def test_a_bundle_with_an_index_gets_a_signed_map(
        self, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bundle = make_bundle(tmp_path / "b.raucb", NEW)
        assert add(repository, bundle, tmp_path / "keys") == 0
        assert f"map: {len(make_map(bundle).to_bytes())} bytes" in capsys.readouterr().out
        shown: Any = repository.show()["targets"]
        assert shown[0]["map"]["md5"] == hashlib.md5(bundle.read_bytes()).hexdigest()
        repository.verify()
        path = repository.folder / "targets/p" / map_file_name("1.1.0", shown[0]["map"]["sha256"])
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(ReleaseToolError, match="its map has other bytes than signed"):
            repository.verify()
        assert add(repository, bundle, tmp_path / "keys") == 0  # adding it again repairs it
        repository.verify()
        path.unlink()
        with pytest.raises(ReleaseToolError, match="No such file"):
            repository.verify()

    def test_a_promotion_keeps_the_map(self, repository: Repository, tmp_path: Path) -> None:
        assert add(repository, make_bundle(tmp_path / "b.raucb", NEW), tmp_path / "keys") == 0
        terms, _outcome = repository.edit_terms("p", "1.1.0", lambda t: replace(t, channels=("x",)))
        assert terms.map is not None
        repository.verify()

    def test_a_bundle_without_an_index_is_added_and_comes_whole(
        self, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert add(repository, make_bundle(tmp_path / "b.raucb", NEW, b""), tmp_path / "keys") == 0
        assert "map: none, machines fetch it whole" in capsys.readouterr().out
        shown: Any = repository.show()["targets"]
        assert "map" not in shown[0]


async def test_a_whole_update_by_parts(
    repository: Repository, server: Any, tmp_path: Path, site: Site
) -> None:
    bundle = make_bundle(tmp_path / "b.raucb", NEW)
    assert add(repository, bundle, tmp_path / "keys") == 0
    settings = replace(site.settings, root_file=repository.root_file, percent_interval=0.001)
    shown: Any = repository.show()["targets"]
    path = f"targets/p/{shown[0]['sha256']}.1.1.0.tar.gz"
    order = replace(
        site.order,
        url=f"{server.url}/{path}",
        size=bundle.stat().st_size,
        signature=shown[0]["map"]["md5"],
    )
    outbox, restart = Outbox(Kills()), asyncio.Event()
    updater = Updater(settings, site.rauc, outbox, NotedRestarts(Surroundings(), restart), "1.0.0")
    runner = asyncio.create_task(updater.run())
    answer = await updater.take_order(order_payload(order))
    await until(lambda: restart.is_set() or updater.status()["state"] == State.FAILED, runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert answer.code is Code.CHANGED
    assert updater.status()["failure"] is None
    assert site.rauc.other.read_bytes() == NEW
    assert outbox.states() == [1, 2, 3, 4]
    assert [event for event in outbox.events() if event not in {4, 7}] == [0, 5]
    assert not settings.download_dir.exists()
    assert site.fetched < len(site.bundle) // 4
