"""The packages of now, built once, and the bases that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.upgrade.house import BASE, RELEASE_FILE, build, install_base, unpack

NOW = "1.1.0"


@pytest.fixture(scope="module")
def package_of_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The current tree as a package, of a version that is newer than the one before."""
    return build(NOW, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def base_of_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version before as a base install."""
    folder = tmp_path_factory.mktemp("before")
    return install_base(unpack(RELEASE_FILE, folder) / "lib", folder / "site-packages", BASE)
