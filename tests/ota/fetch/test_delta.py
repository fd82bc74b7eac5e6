"""Fetching parts of an image: what is requested, what is checked, and what stops it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from ota.errors import (
    ContentError,
    FetchError,
    NoSpaceError,
    StoppedError,
)
from ota.fetch.bundle_map import CHUNK
from tests.base.recorded import SYNC, Recorder
from tests.ota.bundle import (
    make_image,
    needs_squashfs,
)
from tests.ota.fetch.rig import cut_at
from tests.ota.fetch.site import NEW, Site, gone, with_byte_changed, without_ranges
from wire.ota import OtaEvent

pytestmark = needs_squashfs


def test_what_is_missing_comes_and_the_new_image_is_whole(site: Site) -> None:
    package = site.fetch()
    site.install(package)
    assert site.rauc.other.read_bytes() == NEW
    assert site.rauc.tries == 1
    # The head, two changed places, and the part after the image.
    assert site.fetched < len(site.bundle) // 4
    assert len(site.package_requests) <= 4


def test_a_whole_new_image_comes_whole(site: Site) -> None:
    site.rauc.running.write_bytes(make_image(2))
    site.install(site.fetch())
    assert site.rauc.other.read_bytes() == NEW
    assert site.rauc.tries == 1


def test_what_came_before_a_kill_is_not_fetched_again(site: Site) -> None:
    site.server.script.extend([cut_at(3 * CHUNK + 7), gone])
    with pytest.raises(ContentError, match="refused by the server"):
        site.fetch()
    site.server.requests.clear()
    site.install(site.fetch())
    assert site.rauc.other.read_bytes() == NEW
    # 7 bytes of a chunk do not count; the map is complete.
    assert site.package_requests[0] == f"bytes={3 * CHUNK}-{512 * 1024 - 1}"
    assert not [path for path, _asked in site.server.requests if path.endswith(".map")]


def test_what_the_disk_lost_is_fetched_again(site: Site) -> None:
    package = site.fetch()
    with package.path.open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(b"lost")
    site.server.requests.clear()
    site.install(site.fetch())
    assert site.rauc.other.read_bytes() == NEW
    assert site.package_requests == [f"bytes={CHUNK}-{2 * CHUNK - 1}"]


def test_what_counts_as_fetched_is_on_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(site.settings.download_dir, monkeypatch)
    package = site.fetch()
    assert (SYNC, package.path.name, package.path.stat().st_size) in recorder.calls


def test_a_stop_is_heard_within_a_body(site: Site) -> None:
    stop = threading.Event()

    def stop_and_send(handler: Any, data: bytes, start: int) -> None:
        stop.set()
        handler.send_file(data, start)

    site.server.script.append(stop_and_send)
    with pytest.raises(StoppedError):
        site.fetch(stop)
    site.install(site.fetch())
    assert site.rauc.other.read_bytes() == NEW


def test_a_connection_that_breaks_goes_on(site: Site) -> None:
    site.server.script.extend([cut_at(100_000), cut_at(50_000)])
    site.install(site.fetch())
    assert site.rauc.other.read_bytes() == NEW


def test_a_server_that_is_gone_ends_it(site: Site) -> None:
    site.server.script.extend([cut_at(0)] * 9)
    with pytest.raises(FetchError, match="gave up after 3 attempts"):
        site.fetch()


def test_a_wrong_byte_is_refused_and_not_kept(site: Site) -> None:
    site.server.script.append(with_byte_changed)
    with pytest.raises(ContentError, match="wrong hash: the bytes from 0 on") as caught:
        site.fetch()
    assert caught.value.event is OtaEvent.CHECKSUM_FAIL
    sparse = next(site.settings.download_dir.glob("*.sparse"))
    assert not any(sparse.read_bytes())


def test_a_file_of_another_length_is_refused(site: Site) -> None:
    site.server.script.append(lambda h, data, start: h.send_file(data + b"x", start))
    with pytest.raises(ContentError, match=r"wrong length: the server's file has"):
        site.fetch()


def test_a_file_that_is_not_there_is_refused(site: Site) -> None:
    site.server.script.append(gone)
    with pytest.raises(ContentError, match="refused by the server: HTTP 404"):
        site.fetch()


def test_no_room_is_said_before_a_byte_comes(site: Site) -> None:
    download = replace(site.settings.download, free_space=lambda _path: 1000)
    with pytest.raises(NoSpaceError):
        site.fetch(download=download)
    assert site.package_requests == []


def test_the_order_with_another_md5_costs_nothing(site: Site) -> None:
    site.order = replace(site.order, signature="0" * 32)
    with pytest.raises(ContentError, match="wrong MD5"):
        site.fetch()
    assert site.server.requests == []


def test_the_budget_counts_parts_over_restarts(site: Site) -> None:
    site.target = replace(site.target, data_budget=600_000)
    for _start in range(2):
        with pytest.raises(ContentError, match="budget: spent"):
            site.fetch()
    assert site.fetched < 1_200_000


def test_the_whole_has_the_budget_that_parts_left(site: Site) -> None:
    site.target = replace(site.target, data_budget=len(site.bundle) + 100_000)
    site.server.script.extend([cut_at(400_000), without_ranges])
    with pytest.raises(ContentError, match="budget: spent"):
        site.fetch()
