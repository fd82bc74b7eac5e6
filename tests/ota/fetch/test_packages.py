"""Parts or the whole, and the installation that completes a package with holes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import (
    ContentError,
    IncompletePackageError,
    MachineError,
)
from ota.fetch.bundle_map import BLOCK
from ota.order.states import State
from ota.order.task import Task, parse_task
from ota.updater import Updater
from release.bundle_maps import make_map
from release.repository import Repository
from tests.ota.bundle import (
    add_bundle,
    make_bundle,
    make_image,
    needs_squashfs,
)
from tests.ota.fetch.site import NEW, Site, without_ranges
from tests.ota.updater_rig import Kills, NotedRestarts, Outbox, Surroundings, until
from wire.codes import Code
from wire.ota import OtaEvent, order_payload

pytestmark = needs_squashfs


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


async def test_a_whole_update_by_parts(
    repository: Repository, server: Any, tmp_path: Path, site: Site
) -> None:
    bundle = make_bundle(tmp_path / "b.raucb", NEW)
    assert add_bundle(repository, bundle, tmp_path / "keys") == 0
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
