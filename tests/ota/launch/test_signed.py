"""What the base install starts: what was signed, and nothing that somebody has put into STATE/slots."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api._payload import DelegatedRole, Delegations, Targets
from tuf.api.metadata import Metadata

from ota.launch import boot
from ota.launch.boot import BootRecord, Trial
from ota.launch.launch import choose_release
from ota.launch.signed import find_fault
from tests.ota.install.package_rig import file, install, pack
from tests.ota.simulator import Simulator
from tests.ota.updater_rig import UpdaterRig, live

MODULE = b"x = 1\n"


class Machine:
    """A machine with a root in its settings' folder, and releases that the installer has put in place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.config = folder / "etc" / "agent.toml"
        self.repository = Simulator()
        self.metadata = self.state / "ota" / "metadata"
        (self.metadata / "root_history").mkdir(parents=True)
        self.config.parent.mkdir()
        self.anchor = self.config.parent / "root.json"
        self.anchor.write_bytes(self.repository.trusted_root)

    def package(self, version: str, data: bytes = MODULE) -> Path:
        info = {
            "format": 1, "product": "story-machine", "version": version, "requires_python": ">=3.11",
            "requires": [], "packages": ["agent"], "unpacked_bytes": len(data), "later": [1],
        }  # fmt: skip
        return pack(
            self.folder / f"{version}.tar.gz", file("lib/agent/__init__.py", data),
            info=json.dumps(info).encode(),
        )  # fmt: skip

    def refresh(self) -> None:
        """Do what the trust client does with what the repository serves."""
        self.repository.publish()
        for name, data in self.repository.files.items():
            number, _, kind = name.removeprefix("metadata/").partition(".")
            if kind == "root.json":
                (self.metadata / "root_history" / f"{number}.root.json").write_bytes(data)
            elif kind == "targets.json":
                (self.metadata / "targets.json").write_bytes(data)

    def install(self, version: str, *, sign: bool = True) -> Path:
        package = self.package(version)
        if sign:
            self.repository.add(package.read_bytes(), version)
            self.refresh()
        install(
            self.state, package,
            target={"version": version, "sha256": hashlib.sha256(package.read_bytes()).hexdigest()},
        )  # fmt: skip
        return boot.release_folder(self.state, version)

    def fault(self, version: str = "1.1.0") -> str | None:
        return find_fault(boot.release_folder(self.state, version), version, self.anchor)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_was_signed_starts_and_its_bytecode_does_not(machine: Machine) -> None:
    release = machine.install("1.1.0")
    bytecode = release / "lib/agent/__pycache__"
    bytecode.mkdir()
    (bytecode / "__init__.cpython-311.pyc").write_bytes(b"anything")
    boot.store(machine.state, BootRecord("1.1.0"))
    decision = choose_release(machine.state, config=machine.config)
    assert (decision.version, decision.note) == ("1.1.0", None)
    assert not bytecode.exists()


def write(name: str, data: bytes) -> Callable[[Path], object]:
    def change(release: Path) -> None:
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).unlink(missing_ok=True)
        (release / name).write_bytes(data)

    return change


def in_place(release: Path) -> None:
    """Change a file, and leave length and times as they were."""
    path = release / "lib/agent/__init__.py"
    before = path.stat()
    path.write_bytes(MODULE.replace(b"1", b"2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def link(release: Path) -> None:
    path = release / "lib/agent/__init__.py"
    path.rename(release.parent / "elsewhere.py")
    path.symlink_to(release.parent / "elsewhere.py")


def link_folder(release: Path) -> None:
    (release / "lib/agent").rename(release.parent / "elsewhere")
    (release / "lib/agent").symlink_to(release.parent / "elsewhere")


def link_lib(release: Path) -> None:
    (release / "lib").rename(release.parent / "elsewhere")
    (release / "lib").symlink_to(release.parent / "elsewhere")


def other_product(release: Path) -> None:
    info = json.loads((release / "release.json").read_bytes())
    (release / "release.json").write_text(json.dumps(info | {"product": "lamp"}))


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a module of another content": (write("lib/agent/__init__.py", b"evil\n"), "lib/agent/__init__.py is not"),
    "of the same length and times": (in_place, "lib/agent/__init__.py is not"),
    "a module more": (write("lib/sitecustomize.py", b""), "lib/sitecustomize.py was not signed"),
    "a library more": (write("lib/agent/x.so", b""), "lib/agent/x.so was not signed"),
    "a package more": (write("lib/json/__init__.py", b""), "lib/json was not signed"),
    "bytecode beside its source": (write("lib/agent/cli.pyc", b""), "lib/agent/cli.pyc was not signed"),
    "bytecode that is a file": (write("lib/__pycache__", b""), "cannot be checked"),
    "a module less": (lambda release: (release / "lib/agent/__init__.py").unlink(), "is not the signed one"),
    "a link in place of a module": (link, "cannot be checked"),
    "a link in place of a folder": (link_folder, "agent is a link"),
    "a link in place of all modules": (link_lib, "lib is no folder"),
    "another product": (other_product, "release.json: product is not the signed one"),
    "another release.json": (write("release.json", b'{"version": "9.9.9"}'), "release.json: version"),
    "an empty release.json": (write("release.json", b""), "cannot be checked"),
    "no package": (lambda release: (release / "signed/package.tar.gz").unlink(), "no signed package"),
    "no proof": (lambda release: shutil.rmtree(release / "signed"), "no signed package"),
    "another package": (write("signed/package.tar.gz", b"x"), "in no metadata"),
    "no metadata": (lambda release: (release / "signed/targets.json").unlink(), "cannot be checked"),
    "damaged metadata": (write("signed/targets.json", b"{"), "cannot be checked"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED, ids=str)
def test_what_differs_from_it_does_not_start(case: str, machine: Machine) -> None:
    change, reason = TAMPERED[case]
    release = machine.install("1.1.0")
    assert machine.fault() is None
    change(release)
    fault = machine.fault()
    assert fault is not None
    assert reason in fault


def test_code_put_there_with_a_record_by_hand_does_not_start(machine: Machine) -> None:
    machine.install("1.0.5")
    forged = boot.release_folder(machine.state, "9.0.0")
    shutil.copytree(boot.release_folder(machine.state, "1.0.5"), forged)
    boot.store(machine.state, BootRecord("9.0.0", "1.0.5"))
    decision = choose_release(machine.state, config=machine.config)
    assert decision.version == "1.0.5"
    assert "release 9.0.0 is given up: its package is in no metadata" in str(decision.note)


def test_a_trial_that_is_not_signed_is_rolled_back_with_its_reason(machine: Machine) -> None:
    machine.install("1.1.0", sign=False)
    boot.store(machine.state, BootRecord("1.1.0", None, Trial("1.1.0", 0, "77")))
    assert choose_release(machine.state, config=machine.config).version is None
    rollback = boot.load(machine.state).last_rollback
    assert rollback is not None
    assert rollback.transaction == "77"


def test_a_machine_without_a_root_in_its_settings_starts_what_is_there(machine: Machine) -> None:
    machine.install("1.1.0", sign=False)
    machine.anchor.unlink()
    boot.store(machine.state, BootRecord("1.1.0"))
    assert choose_release(machine.state, config=machine.config).version == "1.1.0"


@pytest.mark.parametrize("role", ["root", "targets"])
def test_keys_that_a_root_has_replaced_are_followed(machine: Machine, role: str) -> None:
    machine.repository.rotate(role)
    machine.install("1.1.0")
    assert machine.fault() is None
    other = Simulator()
    machine.anchor.write_bytes(other.trusted_root)
    assert "cannot be checked" in str(machine.fault())


def test_a_root_that_the_one_before_did_not_sign_is_refused(machine: Machine) -> None:
    """Everything behind the forged root is whole, so that nothing else refuses it."""
    release = machine.install("1.1.0")
    forger = Simulator()
    forger.publish_root()
    forger.add((release / "signed/package.tar.gz").read_bytes(), "1.1.0")
    forger.publish()
    history = release / "signed/root_history/2.root.json"
    history.write_bytes(forger.files["metadata/2.root.json"])
    targets = forger.files[f"metadata/{forger.targets.version}.targets.json"]
    (release / "signed/targets.json").write_bytes(targets)
    assert "cannot be checked" in str(machine.fault())


def test_a_root_that_was_left_out_is_noticed(machine: Machine) -> None:
    """Its signatures are good: the same keys have signed both."""
    machine.repository.root.version += 1
    machine.repository.publish_root()
    release = machine.install("1.1.0")
    assert machine.fault() is None
    history = release / "signed/root_history"
    (history / "3.root.json").replace(history / "2.root.json")
    assert machine.fault() == "root 2 is version 3"


def test_a_package_that_its_metadata_revokes_does_not_start(machine: Machine) -> None:
    package = machine.package("1.1.0")
    machine.repository.add(package.read_bytes(), "1.1.0", revoked="it burns")
    machine.refresh()
    install(machine.state, package)
    assert machine.fault() == "its package was revoked"


@pytest.mark.parametrize(
    ("pattern", "fault"), [("story-machine/*", None), ("other/*", "in no metadata")]
)
def test_a_products_own_keys_sign_its_packages_alone(
    machine: Machine, pattern: str, fault: str | None
) -> None:
    repository: Any = machine.repository
    package = machine.package("1.1.0")
    repository.add(package.read_bytes(), "1.1.0")
    own = Targets(targets=dict(repository.targets.targets), expires=repository.targets.expires)
    repository.targets.targets.clear()
    key = repository.key("snapshot")
    role = DelegatedRole("story machine", [key.keyid], 1, terminating=True, paths=[pattern])
    repository.targets.delegations = Delegations({key.keyid: key}, {role.name: role})
    machine.refresh()
    metadata: Metadata[Any] = Metadata(own)
    metadata.sign(repository.signers["snapshot"][0])
    (machine.metadata / "story%20machine.json").write_bytes(metadata.to_bytes())
    install(machine.state, package)
    assert (fault or "None") in str(machine.fault())
    release = boot.release_folder(machine.state, "1.1.0")
    (release / "signed/story%20machine.json").unlink()
    assert "in no metadata" in str(machine.fault())


async def test_what_an_update_installs_is_signed(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    folder = boot.release_folder(rig.settings.state_dir, "1.1.0")
    assert find_fault(folder, "1.1.0", rig.settings.root_file) is None


def test_the_metadatas_library_is_loaded_for_a_check_alone() -> None:
    code = "import sys, ota.launch.signed\nprint('tuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
