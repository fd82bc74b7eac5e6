"""A repository whose keys several people hold, and a device that follows it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

from ota.trust.client import TrustSettings, find_target
from ota.trust.target import Target
from release.package_files import AddedTarget
from release.repository import Repository
from release.role_keys import KeyCount

PRODUCT = "story-machine"


class Ceremony:
    """A repository whose root needs two of three holders and whose targets role needs two of two."""

    def __init__(self, server: Any, folder: Path, helpers: Any) -> None:
        self.server, self.folder, self.helpers = server, folder, helpers
        everything = Repository(server.root, folder / "all")
        everything.create({"root": KeyCount(3, 2), "targets": KeyCount(2, 2)})
        for holder, names in {
            "ann": ["root-1", "targets-1"],
            "ben": ["root-2", "targets-2"],
            "cem": ["root-3"],
            "online": ["snapshot", "timestamp"],
        }.items():
            (folder / holder).mkdir()
            for name in names:
                (folder / "all" / f"{name}.pem").rename(folder / holder / f"{name}.pem")
        self.shipped = folder / "shipped-root.json"
        shutil.copy(everything.root_file, self.shipped)

    def of(self, holder: str) -> Repository:
        return Repository(self.server.root, self.folder / holder)

    def package(self, version: str) -> Path:
        made: Path = self.helpers.make_package(self.folder / f"{version}.tar.gz", version)
        return made

    def add(self, version: str, *holders: str) -> AddedTarget:
        """Add a package, sign it and publish it."""
        added = self.of("online").add(self.package(version), PRODUCT, version)[0]
        for holder in holders:
            self.of(holder).sign()
        self.of("online").publish()
        return added

    def device(self, added: AddedTarget, running: str = "1.0.0") -> Target:
        """Return the result of an order on a machine with the first root."""
        settings = TrustSettings(PRODUCT, self.server.url, self.shipped, self.folder / "metadata")
        order = self.helpers.order_for(added, self.server.url)
        return find_target(settings, order, running, threading.Event())
