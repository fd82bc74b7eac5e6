"""Makes the images of the old and the new version, for a machine's slots, and the new one's bundle.

An image stands for a whole system, but holds only a release of the agent, as a tar archive. The
version that runs is thus the one whose bytes are in the slot.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import trustme

from tools.kill_proof.device import NEW, OLD
from tools.processes import BenchError, command

COMPATIBLE = "story-machine-test"
SLOT_BYTES = 4 * 1024 * 1024
MANIFEST = """\
[update]
compatible={compatible}
version={version}
[bundle]
format=plain
[image.rootfs]
filename=rootfs.img
"""
PROGRAMS = ("rauc", "dbus-daemon", "mksquashfs", "unshare")


def missing_programs() -> str:
    """Return the missing requirements of a machine with RAUC, as text; "" if there are none."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return ", ".join([*missing, *(["root"] if os.geteuid() else [])])


class Images:
    """The images of both versions and the bundle of the new one, below one folder."""

    def __init__(self, folder: Path) -> None:
        """Make the images and the bundle in ``folder``; raises BenchError."""
        self._folder = folder
        self.old, self.new = self._image(OLD), self._image(NEW)
        self.certificate, self.bundle = folder / "rauc.pem", folder / f"{NEW}.raucb"
        key = folder / "rauc.key"
        signer = trustme.CA(key_type=trustme.KeyType.RSA)
        signer.cert_pem.write_to_path(self.certificate)
        signer.private_key_pem.write_to_path(key)
        with tempfile.TemporaryDirectory(dir=folder) as content:
            Path(content, "rootfs.img").write_bytes(self.new)
            manifest = MANIFEST.format(compatible=COMPATIBLE, version=NEW)
            Path(content, "manifest.raucm").write_text(manifest)
            keys = (f"--cert={self.certificate}", f"--key={key}")
            _run("rauc", *keys, "bundle", content, self.bundle)

    def _image(self, version: str) -> bytes:
        """Return a release, padded to a slot's size with incompressible bytes."""
        package = self._folder / f"image-{version}.tar.gz"
        command("story-release", "build", "--version", version, "--output", package)
        tar = gzip.decompress(package.read_bytes())
        if len(tar) > SLOT_BYTES:
            raise BenchError(f"a release has {len(tar)} bytes, a slot {SLOT_BYTES}")
        return tar + random.Random(version).randbytes(SLOT_BYTES - len(tar))  # noqa: S311

    def unpack(self, slot: Path) -> Path:
        """Return the import folder of the release in a slot; raises BenchError if it is partial."""
        image = slot.read_bytes()
        folder = self._folder / f"root-{hashlib.sha256(image).hexdigest()[:16]}"
        if not folder.exists():
            if image not in {self.old, self.new}:
                raise BenchError(f"slot {slot.name} holds neither version whole")
            with tempfile.TemporaryDirectory(dir=self._folder) as made:
                with slot.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                    archive.extractall(Path(made, "root"), filter="data")
                Path(made, "root").rename(folder)
        return folder / "lib"


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise BenchError(f"{words[0]}: {done.stderr.strip()}")
