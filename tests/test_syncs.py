"""What is kept, replaced or forgotten is on the disk before anybody is told: seen in recorded system calls.

A sync that is left out breaks no other test: until the power goes, everything reads as it should. `make mutation KIND=sync`
leaves each one out alone. An update's own files are in tests/ota/test_durable.py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.bench_helper import flip
from agent.first import places, reset
from agent.link import outbox_file, outbox_salvage
from agent.local.keyring import Keyring
from agent.state import usable_state
from base.files import make_folder
from machine.microphone_switch import MicrophoneSwitch
from machine.wake_words import WakeWords
from ota.install import rauc_bus
from ota.install.rauc_bus import INTERFACE, RaucBus, RaucDeadlines
from release import build as building
from release.metadata_store import MetadataStore
from resources import record as records
from resources.online import cache as caching
from resources.online.cache import Cache, Kept
from resources.online.stores import OnDisk
from resources.times.store import TimesStore
from staging import backup, restoring
from staging.data_dir import DataDir
from staging.identity import ca
from staging.packages import apt_repository
from staging.packages.apt_repository import AptRepository
from staging.recognition import model
from staging.recognition.title_lists import TitleLists
from staging.restoring import Wanted
from staging.store import Database
from staging.taken_back import TakenBack
from tests.base.recorded import REMOVE, RENAME, SYNC, Recorder
from tests.machine.wake_parts import stored

Record = Callable[[], Recorder]
FOLDER = (SYNC, ".", None)


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Begin to record what happens in the test's folder."""
    return lambda: Recorder(tmp_path, monkeypatch)


def check(recorder: Recorder, *wanted: tuple[object, ...]) -> None:
    """Check that these calls are among the recorded ones, in this order."""
    calls = iter(recorder.calls)
    for call in wanted:
        assert any(one[: len(call)] == call for one in calls), (call, recorder.calls)


def test_an_erased_profile_is_zeros_on_the_card_before_its_name_goes(
    tmp_path: Path, record: Record
) -> None:
    (tmp_path / "profile.json").write_bytes(b"secret")
    recorder = record()
    places.erase(tmp_path / "profile.json")
    assert recorder.calls == [(SYNC, "profile.json", 6), (REMOVE, "profile.json"), FOLDER]


def test_bits_that_a_bench_flips_are_on_the_disk(tmp_path: Path, record: Record) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    recorder = record()
    assert flip(tmp_path / "file", 3, 1) == 3
    assert recorder.calls == [(SYNC, "file", 100)]


def test_a_salvaged_outbox_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, record: Record
) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"damaged")
    recorder = record()
    new = tmp_path / "outbox.sqlite.new"
    outbox_file.make_file(new, {}, [], {}, 5)
    outbox_salvage.finish_swap(path)
    size = path.stat().st_size
    check(
        recorder, (SYNC, new.name, size), (RENAME, new.name, path.name), FOLDER
    )  # fmt: skip


def test_a_salvaged_outbox_can_be_found_before_the_old_one_s_log_is_removed(
    tmp_path: Path, record: Record
) -> None:
    """Else a cut may leave the old file without its log, and the new one under a name that nobody looks at."""
    path = tmp_path / "outbox.sqlite"
    for name in (path.name, f"{path.name}-wal"):
        (tmp_path / name).write_bytes(b"damaged")
    recorder = record()
    outbox_salvage.replace(path, outbox_salvage.Salvaged())
    part, new = (f"{path.name}.{ending}" for ending in ("part", "new"))
    check(
        recorder, (SYNC, part), (RENAME, part, new), FOLDER, (REMOVE, f"{path.name}-wal"),
        (RENAME, new, path.name), FOLDER,
    )  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        usable_state, lambda path: DataDir(path).create(), lambda path: ca.ensure(path, ()),
        lambda path: TitleLists(path).set(["a"]), lambda path: AptRepository(path, "stable").add([]),
    ],
    ids=["state", "data", "certificates", "titles", "packages"],
)  # fmt: skip
def test_a_folder_that_is_new_is_in_the_one_above_it_before_anything_is_in_it(
    make: Callable[[Path], object], tmp_path: Path, record: Record
) -> None:
    """Else a cut takes the folder, with all in it that was said to be kept."""
    make_folder(tmp_path)  # this process knows that the test's own folder stays
    recorder = record()
    make(tmp_path / "above/folder")
    assert recorder.calls[:2] == [FOLDER, (SYNC, "above", None)]


def test_a_profile_that_a_reset_removes_is_gone_after_a_cut(tmp_path: Path, record: Record) -> None:
    (tmp_path / "profile.json").touch()
    recorder = record()
    reset._remove_profile(tmp_path / "profile.json")
    assert recorder.calls == [(REMOVE, "profile.json"), FOLDER]


def test_a_client_that_is_forgotten_has_no_keys_after_a_cut(tmp_path: Path, record: Record) -> None:
    keyring = Keyring(tmp_path)
    keyring.add("phone", [])
    recorder = record()
    keyring.remove("phone")
    assert recorder.calls[-1] == FOLDER


async def test_a_microphone_that_is_on_again_is_so_after_a_cut(
    tmp_path: Path, record: Record
) -> None:
    switch = MicrophoneSwitch(tmp_path / "off")
    await switch.set(on=False)
    recorder = record()
    await switch.set(on=True)
    assert recorder.calls == [(REMOVE, "off"), FOLDER]


def test_a_wake_word_that_is_forgotten_stays_so(tmp_path: Path, record: Record) -> None:
    words = WakeWords(tmp_path)
    words.save(stored("a"))
    recorder = record()
    words.forget("a")
    (removed, synced) = recorder.calls
    assert removed[0] == REMOVE
    assert synced == (SYNC, os.path.relpath(words.folder, tmp_path), None)


async def test_rauc_s_own_record_of_an_image_is_on_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bus:
        """Says of an installation that it was completed."""

        def add_message_handler(self, hear: Callable[[Any], None]) -> None:
            self.hear = hear

        def remove_message_handler(self, hear: object) -> None:
            assert hear == self.hear

    class Completed:
        member, interface, body = "Completed", INTERFACE, (0,)

    done: list[str] = []

    async def call(bus: Bus, method: Any, *_body: object, deadline: float) -> list[object]:
        assert deadline > 0
        if method.member == "InstallBundle":
            done.append("installed")
            bus.hear(Completed())
        return []

    monkeypatch.setattr(rauc_bus, "call", call)
    monkeypatch.setattr(os, "sync", lambda: done.append("synced"))
    bus: Any = Bus()
    await RaucBus(bus, RaucDeadlines()).install(Path("b"), threading.Event(), lambda _percent: None)
    assert done == ["installed", "synced"]


def test_a_package_is_whole_before_it_has_its_name(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, *_: object) -> None:
        path.write_bytes(b"12345")

    monkeypatch.setattr(building, "build_package", write)
    recorder = record()
    info: Any = None
    building._write(tmp_path / "p.tar.gz", info, [])
    assert recorder.calls == [
        (SYNC, ".p.tar.gz.tmp", 5), (RENAME, ".p.tar.gz.tmp", "p.tar.gz", 5), FOLDER
    ]  # fmt: skip


def test_a_repository_is_unlocked_with_its_folder_on_the_disk(
    tmp_path: Path, record: Record
) -> None:
    recorder = record()
    with MetadataStore(tmp_path).locked():
        assert recorder.calls == []
    assert recorder.calls == [FOLDER]


def test_a_debian_package_is_whole_before_it_has_its_name(tmp_path: Path, record: Record) -> None:
    (tmp_path / "a.deb").write_bytes(b"12345")
    recorder = record()
    apt_repository._copy(tmp_path / "a.deb", tmp_path / "b.deb")
    check(recorder, (SYNC, ".b.deb.tmp", 5), (RENAME, ".b.deb.tmp", "b.deb"), FOLDER)


@pytest.mark.parametrize("save", ["record", "times"])
def test_what_is_emptied_stays_so(save: str, tmp_path: Path, record: Record) -> None:
    times = TimesStore(tmp_path)
    name = times._path("t").name
    (tmp_path / name).write_bytes(b"old")
    recorder = record()
    if save == "record":
        records._write(tmp_path / name, None)
    else:
        times._save("t", {})
    assert recorder.calls == [(REMOVE, name), FOLDER]


def begun(folder: Path, size: int) -> Kept:
    kept = Cache(folder, 1_000_000, free_floor=0).begin("a", size, "audio/mpeg", '"1"')
    assert kept is not None
    return kept


async def test_a_story_s_bytes_are_on_the_disk_before_its_record_counts_them(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "SYNC_STEP", 50)
    kept = begun(tmp_path, 100)
    recorder = record()
    kept.write(0, bytes(49))
    assert recorder.calls == []
    kept.write(49, bytes(1))
    check(recorder, (SYNC, "a.part"), (RENAME, ".a.json.tmp", "a.json"), FOLDER)
    for act in (OnDisk(kept).sync, OnDisk(kept).close):
        kept.write(kept.run(0), bytes(10))
        recorder.calls.clear()
        await act()
        check(recorder, (SYNC, "a.part"), (RENAME, ".a.json.tmp", "a.json"), FOLDER)


def test_a_story_that_a_cut_left_under_its_first_name_has_its_last_one(
    tmp_path: Path, record: Record
) -> None:
    kept = begun(tmp_path, 10)
    kept.write(0, bytes(10))
    kept.close()
    (tmp_path / "a.story").rename(tmp_path / "a.part")
    recorder = record()
    found = Cache(tmp_path, 1_000_000, free_floor=0).find("a")
    assert found is not None
    found.close()
    renamed = recorder.calls.index((RENAME, "a.part", "a.story", 10))
    assert recorder.calls[renamed + 1] == FOLDER


def test_what_was_taken_back_is_on_the_disk_and_so_is_its_new_file(
    tmp_path: Path, record: Record
) -> None:
    taken = TakenBack(DataDir(tmp_path).create())
    recorder = record()
    taken.mark("a")
    size = taken.path.stat().st_size
    assert recorder.calls == [(SYNC, taken.path.name, size), FOLDER]
    taken.mark("b")
    assert recorder.calls[2:] == [(SYNC, taken.path.name, taken.path.stat().st_size)]


def test_a_backup_and_what_it_brings_back_are_on_the_disk(tmp_path: Path, record: Record) -> None:
    data = DataDir(tmp_path / "cloud").create()
    Database(data.database).close()
    (data.root / "ca").mkdir()
    (data.root / "ca/ca.crt").write_bytes(b"12345")
    file = tmp_path / "saved.tar"
    recorder = record()
    backup.make(data, data.database, file, 0)
    made = [call for call in recorder.calls if call[0] == RENAME and call[2] == file.name]
    check(recorder, (SYNC, made[0][1], file.stat().st_size), made[0], FOLDER)
    recorder.calls.clear()
    restoring.restore(data, data.database, file, Wanted("then", replace=True))
    name = data.database.name
    check(
        recorder,
        (SYNC, f"cloud/.restoring/{backup.PREFIX}/ca/ca.crt", 5),
        (SYNC, f"cloud/.{name}.restored"),
        (RENAME, "cloud/..restore-unfinished.tmp", "cloud/.restore-unfinished"),
        (SYNC, "cloud", None),  # of the note, before anything changes
        (SYNC, "cloud/replaced-then", None),
        (RENAME, f"cloud/.restoring/{backup.PREFIX}/ca", "cloud/ca"),
        (RENAME, f"cloud/.{name}.restored", f"cloud/{name}"),
        (SYNC, "cloud", None),  # of the store
        (SYNC, "cloud", None),  # of the other files
        (REMOVE, "cloud/.restore-unfinished"),
        (SYNC, "cloud", None),
    )


def test_a_speech_model_is_on_the_disk_whole_before_it_has_its_name(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    monkeypatch.setattr(model, "SHA256", empty)
    monkeypatch.setattr(model, "_data_file", lambda *_: part)
    recorder = record()
    folder = model.join_model(tmp_path / "models")
    name = f"models/{folder.name}"
    (renamed,) = [call for call in recorder.calls if call[0] == RENAME]
    assert renamed[2] == name
    check(
        recorder, (SYNC, f"{renamed[1]}/model.bin"), (SYNC, renamed[1], None), renamed,
        (SYNC, "models", None),
    )  # fmt: skip
