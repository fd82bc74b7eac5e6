"""Fixtures of the downloads' tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ota.fetch.source import DownloadSettings, WebSettings
from ota.settings import UpdaterSettings
from ota.trust.target import Target, map_file_name
from ota.trust.terms import MapFile
from release.bundle_maps import make_map
from tests.ota.bundle import (
    Rauc,
    make_bundle,
)
from tests.ota.fetch.rig import DATA, FAST, DownloadRig
from tests.ota.fetch.site import NEW, OLD, Site
from wire.ota import InstallerKind, OtaOrder


@pytest.fixture
def rig(server: Any, tmp_path: Path) -> DownloadRig:
    return DownloadRig(server, tmp_path / "download")


@pytest.fixture
def url(server: Any) -> str:
    (server.root / "p.tar.gz").write_bytes(DATA)
    return f"{server.url}/p.tar.gz"


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
        confirm_timeout=120.0,
        installer=InstallerKind.RAUC,
        download=DownloadSettings(web=WebSettings(60, 60), retry=FAST.retry),
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
