"""What the proof reads of a machine's image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.vm.site import uid_in

pytestmark = pytest.mark.skipif(
    not (shutil.which("mke2fs") and shutil.which("debugfs")), reason="e2fsprogs is not installed"
)


def make_image(folder: Path, passwd: str) -> Path:
    (folder / "root" / "etc").mkdir(parents=True)
    (folder / "root" / "etc" / "passwd").write_text(passwd)
    image = folder / "root.ext4"
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(folder / "root"), str(image), "2M"]
    subprocess.run(command, check=True)
    return image


def test_the_agents_user_is_the_one_of_the_image(tmp_path: Path) -> None:
    """It was 996 until the agent got groups of its own, and its files then belonged to nobody."""
    users = "root:x:0:0:root:/root:/bin/sh\nstory-agent:x:994:994::/:/usr/sbin/nologin\n"
    assert uid_in(make_image(tmp_path, users)) == 994


def test_an_image_without_it_is_told(tmp_path: Path) -> None:
    image = make_image(tmp_path, "root:x:0:0:root:/root:/bin/sh\n")
    with pytest.raises(RuntimeError, match="no story-agent: build the image anew"):
        uid_in(image)
