"""The attack table: each attack by its name, against the whole updater; the old version stays active.

Names follow the TUF specification (1.5.2, "Goals to protect against specific attacks") and the
attacks by false members of an order.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from base.clock import TrustedTime
from ota.fetch.source import DownloadSettings, WebSettings
from ota.fetch.web import Web
from ota.order.states import State
from ota.updater import Hooks, UpdaterSettings
from tests.ota.simulator import URL, WEEK, Simulator
from tests.ota.updater_rig import DEADLINE, QUICK, Kills, UpdaterRig, assert_failed, live
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import OtaEvent, order_payload

INVALID, REJECT = OtaEvent.IMAGE_INVALID, OtaEvent.REJECT


@pytest.fixture
def repo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, helpers: Any) -> Simulator:
    simulator = Simulator()
    package = helpers.make_package(tmp_path / "p.tar.gz", "1.1.0").read_bytes()
    simulator.add(package, "1.1.0")
    simulator.publish()
    monkeypatch.setattr(
        Web, "get", lambda _self, url, headers=None, **_limits: simulator.get(url, headers)
    )
    return simulator


@pytest.fixture
def rig(repo: Simulator, tmp_path: Path, helpers: Any) -> UpdaterRig:
    root = tmp_path / "shipped-root.json"
    root.write_bytes(repo.trusted_root)
    settings = UpdaterSettings(
        product=helpers.PRODUCT,
        repository=URL,
        root_file=root,
        state_dir=tmp_path / "state",
        confirm_timeout=DEADLINE,
        refresh=QUICK,
        download=DownloadSettings(web=WebSettings(60, 60), retry=QUICK),
    )
    return UpdaterRig(settings, Kills())


class Attack:
    """Orders an update under attack and checks how it ends."""

    def __init__(self, rig: UpdaterRig, repo: Simulator) -> None:
        self.rig, self.repo, self.transactions = rig, repo, itertools.count(100)

    async def sees(self) -> None:
        """Let the machine verify the served metadata, by an update that fails for another reason."""
        number = str(next(self.transactions))
        await self.order(transaction=number, size=1)
        assert "wrong size" in str(self.rig.task.failure)
        self.rig.outbox.taken.clear()

    async def order(self, version: str = "1.1.0", **lies: Any) -> None:
        answers: list[Answer] = []
        await live(self.rig, order_payload(self.repo.order(version, **lies)), answers=answers)
        assert [answer.code for answer in answers] == [Code.CHANGED]

    async def ends(self, event: OtaEvent, reason: str, **lies: Any) -> None:
        await self.order(**lies)
        await assert_failed(self.rig, event, reason)


@pytest.fixture
def attack(rig: UpdaterRig, repo: Simulator) -> Attack:
    return Attack(rig, repo)


async def test_no_attack(attack: Attack) -> None:
    await attack.order()
    assert attack.rig.task.state is State.INSTALLED


async def test_arbitrary_software_in_the_package(attack: Attack) -> None:
    repo = attack.repo
    path = next(path for path in repo.files if path.startswith("targets/"))
    repo.files[path] = bytes(len(repo.files[path]))
    await attack.ends(OtaEvent.CHECKSUM_FAIL, "wrong hash")


async def test_arbitrary_software_in_the_metadata(attack: Attack) -> None:
    attack.repo.signers["targets"] = [CryptoSigner.generate_ed25519()]
    attack.repo.publish()
    await attack.ends(INVALID, "wrong signature (arbitrary software)")


async def test_rollback_of_the_timestamp(attack: Attack) -> None:
    old = attack.repo.files["metadata/timestamp.json"]
    attack.repo.publish()
    await attack.sees()
    attack.repo.files["metadata/timestamp.json"] = old
    await attack.ends(INVALID, "older metadata (rollback)")


async def test_rollback_of_the_snapshot(attack: Attack) -> None:
    repo = attack.repo
    await attack.sees()
    repo.snapshot.version -= 1
    repo.timestamp.version += 1
    repo.timestamp.snapshot_meta.version = repo.snapshot.version
    repo.serve(repo.snapshot, repo.timestamp)
    await attack.ends(INVALID, "older metadata (rollback)")


async def test_rollback_of_the_targets(attack: Attack) -> None:
    repo = attack.repo
    await attack.sees()
    repo.snapshot.version += 1
    repo.snapshot.meta["targets.json"].version -= 1
    repo.timestamp.version += 1
    repo.timestamp.snapshot_meta.version = repo.snapshot.version
    repo.serve(repo.snapshot, repo.timestamp)
    await attack.ends(INVALID, "older metadata (rollback)")


async def test_rollback_of_the_root(attack: Attack) -> None:
    """An old root with valid signatures, under the name of the next."""
    repo = attack.repo
    repo.rotate("targets")
    repo.publish()
    await attack.sees()
    repo.files["metadata/3.root.json"] = repo.trusted_root
    await attack.ends(INVALID, "older metadata (rollback)")


async def test_rollback_of_the_root_to_withdrawn_keys(attack: Attack) -> None:
    """The signatures of withdrawn keys are refused even if the server hides the newer root."""
    repo = attack.repo
    stolen = repo.signers["targets"]
    repo.rotate("targets")
    repo.publish()
    await attack.sees()
    del repo.files["metadata/2.root.json"]
    repo.signers["targets"] = stolen
    repo.publish()
    await attack.ends(INVALID, "wrong signature (arbitrary software)")


async def test_indefinite_freeze(attack: Attack) -> None:
    """The same state for ever, to a machine with a correct clock."""
    repo = attack.repo
    later = repo.now.timestamp() + 8 * 86400
    attack.rig.hooks = Hooks(clock=TrustedTime(wall=lambda: later))
    await attack.ends(INVALID, "expired metadata (freeze)")


async def test_indefinite_freeze_of_a_machine_that_wakes_in_1970(
    attack: Attack, tmp_path: Path
) -> None:
    """The clock is not trusted, because the last verified metadata is later."""
    repo = attack.repo
    frozen = repo.state()
    path = tmp_path / "time.json"
    attack.rig.hooks = Hooks(clock=TrustedTime(path, wall=lambda: 0.0, ticks=lambda: 60.0))
    repo.later(timedelta(days=30))
    repo.publish()
    await attack.sees()
    repo.files = frozen
    # The verified metadata is lost; the floor is in a separate file.
    for name in ("timestamp", "snapshot", "targets"):
        (attack.rig.settings.state_dir / f"ota/metadata/{name}.json").unlink()
    woken = TrustedTime(path, wall=lambda: 0.0, ticks=lambda: 5.0, boot="another")
    attack.rig.hooks = Hooks(clock=woken)
    await attack.ends(INVALID, "expired metadata (freeze)")
    failure = str(attack.rig.task.failure)
    assert "the clock says 1970-01-01 00:00:00Z, metadata says it is" in failure


async def test_indefinite_freeze_is_seen_by_boot_ticks_alone(attack: Attack) -> None:
    """Without a clock or new metadata: the metadata expires after a week of ticks."""
    ticks = [60.0]
    clock = TrustedTime(wall=lambda: 0.0, ticks=lambda: ticks[0], boot="this")
    attack.rig.hooks = Hooks(clock=clock)
    await attack.sees()
    ticks[0] += WEEK.total_seconds() + 60
    await attack.ends(INVALID, "expired metadata (freeze)")


async def test_a_machine_that_wakes_in_1970_updates(attack: Attack) -> None:
    attack.rig.hooks = Hooks(clock=TrustedTime(wall=lambda: 0.0))
    await attack.order()
    assert attack.rig.task.state is State.INSTALLED


async def test_fast_forward_recovery(attack: Attack) -> None:
    """Stolen online keys signed versions near the maximum; new keys in the root invalidate them."""
    repo = attack.repo
    honest = (repo.snapshot.version, repo.timestamp.version)
    repo.snapshot.version = repo.timestamp.version = 2**31
    repo.publish()
    await attack.sees()
    for role in ("snapshot", "timestamp"):
        repo.rotate(role)
    repo.snapshot.version, repo.timestamp.version = honest
    repo.targets.version -= 1
    repo.publish()
    await attack.order()
    assert attack.rig.task.state is State.INSTALLED


async def test_fast_forward_of_the_time_recovery(attack: Attack, tmp_path: Path) -> None:
    """A stolen timestamp key signed a time in ten years; new keys in the root invalidate it too."""
    repo, real = attack.repo, attack.repo.now
    attack.rig.hooks = Hooks(clock=TrustedTime(tmp_path / "time.json"))
    repo.later(520 * WEEK - timedelta(days=14))
    repo.targets.expires = repo.now + WEEK
    repo.publish()
    await attack.sees()
    repo.now = real
    repo.later(timedelta())
    repo.publish()
    await attack.order(transaction="200")
    assert "expired metadata (freeze)" in str(attack.rig.task.failure)
    repo.rotate("timestamp")
    repo.timestamp.version += 1
    repo.publish()
    await attack.order()
    assert attack.rig.task.state is State.INSTALLED


async def test_mix_and_match(attack: Attack) -> None:
    """Old targets with valid signatures, under the name that the new snapshot gives."""
    repo = attack.repo
    old = repo.files[f"metadata/{repo.targets.version}.targets.json"]
    repo.publish()
    repo.files[f"metadata/{repo.targets.version}.targets.json"] = old
    await attack.ends(INVALID, "older metadata (rollback)")


async def test_mix_and_match_against_signed_hashes(attack: Attack) -> None:
    repo = attack.repo
    repo.publish()
    repo.timestamp.snapshot_meta.hashes = {"sha256": "0" * 64}
    repo.serve(repo.timestamp)
    await attack.ends(INVALID, "metadata of another state (mix-and-match)")


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "2.root.json"])
async def test_endless_data_in_the_metadata(attack: Attack, name: str) -> None:
    # It begins as metadata does: other text passes as a network's own answer, and is asked for again.
    attack.repo.streams[name] = lambda: itertools.chain([b"{"], itertools.repeat(bytes(64 * 1024)))
    await attack.ends(INVALID, "metadata without end (endless data)")
    # python-tuf's largest limit is 5 MB; one more read may be in progress.
    assert attack.repo.read_bytes < 5_200_000


async def test_endless_data_in_the_package(attack: Attack) -> None:
    size = attack.repo.order("1.1.0").size
    attack.repo.streams[".tar.gz"] = lambda: itertools.repeat(bytes(64))
    await attack.ends(INVALID, "wrong length")
    assert attack.repo.read_bytes <= size + 64


def trickle(clock: list[float], data: bytes, step: float) -> Callable[[], Iterator[bytes]]:
    """One byte at a time, with ``step`` seconds on ``clock`` before each."""

    def stream() -> Iterator[bytes]:
        for byte in data:
            clock[0] += step
            yield bytes([byte])

    return stream


async def test_slow_retrieval_of_the_metadata(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("ota.trust.client.monotonic", lambda: clock[0])
    data = attack.repo.files["metadata/timestamp.json"]
    attack.repo.streams["timestamp.json"] = trickle(clock, data, 1.0)
    await attack.ends(OtaEvent.DOWNLOAD_FAIL, "slow retrieval")
    assert attack.repo.read_bytes < len(data)


async def test_slow_retrieval_of_the_package(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("ota.fetch.whole.monotonic", lambda: clock[0])
    path = next(path for path in attack.repo.files if path.startswith("targets/"))
    attack.repo.streams[".tar.gz"] = trickle(clock, attack.repo.files[path], 1.0)
    await attack.ends(OtaEvent.DOWNLOAD_FAIL, "too slow: ")


async def test_key_compromise_below_the_threshold(attack: Attack) -> None:
    """Two of three targets keys must sign; the attacker has one."""
    repo = attack.repo
    owners = [CryptoSigner.generate_ed25519() for _ in range(2)]
    for signer in owners:
        repo.root.add_key(signer.public_key, "targets")
    repo.root.roles["targets"].threshold = 2
    repo.publish_root()
    repo.publish()
    await attack.ends(INVALID, "wrong signature (arbitrary software): targets was signed by 1/2")
    repo.signers["targets"].append(owners[0])
    repo.publish()
    await attack.order(transaction="78")
    assert attack.rig.task.state is State.INSTALLED


async def test_key_compromise_of_the_root_below_the_threshold(attack: Attack) -> None:
    """A new root needs the old root's threshold and its own, so one stolen key is not enough."""
    repo = attack.repo
    second = CryptoSigner.generate_ed25519()
    repo.root.add_key(second.public_key, "root")
    repo.root.roles["root"].threshold = 2
    repo.signers["root"].append(second)
    repo.publish_root()
    await attack.sees()
    thief = CryptoSigner.generate_ed25519()
    repo.root.add_key(thief.public_key, "root")
    repo.root.roles["root"].threshold = 1
    repo.signers["root"] = [thief, second]
    repo.publish_root()
    await attack.ends(INVALID, "wrong signature (arbitrary software): root was signed by 1/2")


async def test_wrong_product_in_the_signed_fields(attack: Attack) -> None:
    target = attack.repo.targets.targets["story-machine/1.1.0.tar.gz"]
    target.unrecognized_fields["custom"]["product"] = "toaster"
    attack.repo.publish()
    await attack.ends(REJECT, "wrong product")


async def test_wrong_product_ordered(attack: Attack) -> None:
    """Another product's package with valid signatures: a machine accepts only its own product's."""
    attack.repo.add(b"toast", "1.2.0", product="toaster")
    attack.repo.publish()
    await attack.ends(REJECT, "unknown target", version="1.2.0", product="toaster")


async def test_extraneous_dependencies(attack: Attack, helpers: Any, tmp_path: Path) -> None:
    """A signed release with missing dependencies is refused; nothing else is fetched for it."""
    package = helpers.make_package(
        tmp_path / "q.tar.gz", "1.2.0", requires=("evil-dependency==6.6.6",)
    )
    attack.repo.add(package.read_bytes(), "1.2.0")
    attack.repo.publish()
    await attack.ends(INVALID, "unfit release: built against evil-dependency", version="1.2.0")
    packages = [path for path in attack.repo.asked if path.startswith("targets/")]
    assert len(packages) == 1


async def test_extraneous_packages_in_the_order(attack: Attack) -> None:
    order = json.loads(order_payload(attack.repo.order("1.1.0")))
    order["more"] = order["ota"]
    answer = await attack.rig.start().take_order(json.dumps(order).encode())
    assert (answer.code, "one object in one object" in answer.text) == (Code.BAD_REQUEST, True)


async def test_downgrade_by_the_orders_own_fields(attack: Attack) -> None:
    """The order claims that the machine runs 0.8; only the version that runs counts."""
    attack.repo.add(b"old", "0.9.0")
    attack.repo.publish()
    order = attack.repo.order("0.9.0", old_version="0.8.0")
    answer = await attack.rig.start().take_order(order_payload(order))
    assert answer.code is Code.BAD_REQUEST
    assert answer.text == "not newer: version 0.9.0, this machine runs 1.0.0"


async def test_downgrade_to_another_version_than_the_package_is(attack: Attack) -> None:
    """An old package under a new version's name."""
    target = attack.repo.targets.targets["story-machine/1.1.0.tar.gz"]
    target.unrecognized_fields["custom"]["version"] = "0.9.0"
    attack.repo.publish()
    await attack.ends(REJECT, "wrong version")


async def test_a_downgrade_that_the_metadata_permits_is_no_attack(
    attack: Attack, helpers: Any, tmp_path: Path
) -> None:
    package = helpers.make_package(tmp_path / "old.tar.gz", "0.9.0").read_bytes()
    attack.repo.add(package, "0.9.0", downgrade_from=["1.0", "0.9.9"])
    attack.repo.publish()
    await attack.order("0.9.0")
    assert attack.rig.task.state is State.INSTALLED
    await live(attack.rig, None)
    assert (attack.rig.running, attack.rig.task.state) == ("0.9.0", State.SUCCESS)


async def test_a_downgrade_without_a_repository_to_ask_is_refused(attack: Attack) -> None:
    honest = attack.repo.order("1.1.0")
    attack.repo.files.clear()
    order = replace(honest, version="0.9.0")
    answer = await attack.rig.start().take_order(order_payload(order))
    assert answer.code is Code.BAD_REQUEST
    assert answer.text.startswith("not newer: version 0.9.0, this machine runs 1.0.0; repository: ")


LIES: dict[str, tuple[dict[str, Any], OtaEvent, str]] = {
    "size": ({"size": 5}, REJECT, "wrong size"),
    "MD5": ({"signature": "0" * 32}, OtaEvent.CHECKSUM_FAIL, "wrong MD5"),
    "URL of another name": ({"url": f"{URL}/x.tar.gz"}, REJECT, "wrong URL"),
    "URL of another hash": ({"url": f"{URL}/{'0' * 64}.1.1.0.tar.gz"}, REJECT, "wrong URL"),
    "version": ({"version": "1.2.0"}, REJECT, "unknown target"),
}


@pytest.mark.parametrize("name", LIES, ids=str)
async def test_an_order_that_disagrees_with_the_signed_metadata(attack: Attack, name: str) -> None:
    lies, event, reason = LIES[name]
    order = replace(attack.repo.order("1.1.0"), **lies)
    await live(attack.rig, order_payload(order))
    await assert_failed(attack.rig, event, reason)


TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "revoked": ({"revoked": "deletes songs"}, 'revoked: version 1.1.0: "deletes songs"'),
    "another board": ({"compatible": {"hardware": ["pi5"]}}, "wrong hardware"),
    "agent too old": ({"compatible": {"min_agent": "1.0.1"}}, "agent too old"),
    "another channel": ({"channels": ["beta"]}, "not offered"),
    "no channel yet": ({"channels": []}, "not offered"),
    "another installer": ({"installer": "rauc"}, "wrong installer"),
    "a product that is no name": ({"product": 5}, "bad target"),
    "budget of nothing": ({"data_budget": 0}, "bad target"),
    "hardware that is no list": ({"compatible": {"hardware": "pi5"}}, "bad target"),
    "a version that is none": ({"downgrade_from": ["x"]}, "bad target"),
}


@pytest.mark.parametrize("name", TERMS, ids=str)
async def test_signed_terms_that_this_machine_does_not_meet(attack: Attack, name: str) -> None:
    terms, reason = TERMS[name]
    target = attack.repo.targets.targets["story-machine/1.1.0.tar.gz"]
    target.unrecognized_fields["custom"].update(terms)
    attack.repo.publish()
    await attack.ends(REJECT, reason)


async def test_signed_terms_that_it_meets(attack: Attack) -> None:
    attack.rig.settings = replace(attack.rig.settings, hardware="pi4", channel="beta")
    target = attack.repo.targets.targets["story-machine/1.1.0.tar.gz"]
    target.unrecognized_fields["custom"].update({
        "compatible": {"hardware": ["pi3", "pi4"], "min_agent": "1.0"},
        "channels": ["beta"],
        "data_budget": 10_000_000,
    })  # fmt: skip
    attack.repo.publish()
    await attack.order()
    assert attack.rig.task.state is State.INSTALLED
    assert attack.rig.task.target is not None
    assert attack.rig.task.target.data_budget == 10_000_000


def test_python_tuf_judges_by_the_time_that_it_is_given(attack: Attack, tmp_path: Path) -> None:
    """`ota.trust.client._set_reference_time` sets this attribute; python-tuf first uses it in `refresh`."""
    from tuf.ngclient.updater import Updater

    from ota.trust.client import _set_reference_time

    past = Updater(str(tmp_path / "m"), URL, bootstrap=attack.repo.trusted_root)
    _set_reference_time(past, datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    assert past._trusted_set.reference_time.year == 2020


async def test_the_signed_data_budget_limits_the_download(attack: Attack) -> None:
    target = attack.repo.targets.targets["story-machine/1.1.0.tar.gz"]
    target.unrecognized_fields["custom"]["data_budget"] = 100
    attack.repo.publish()
    await attack.order()
    assert attack.rig.task.state is State.FAILED
    assert "budget: " in str(attack.rig.task.failure)
