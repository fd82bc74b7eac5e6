"""A factory reset: what stays is a list, all else goes, and a cut at any step is finished by the next start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import main
from agent.first import WISH_NAME, reset, reset_command
from agent.first.import_note import load_note
from agent.first.reset import ResetError, Wish, carry_out, finish, load_wish, store_wish
from agent.settings import parse_settings
from agent.state import state_lock
from tests.agent.first.parts import profile_bytes
from tests.agent.first.test_provision import Unit

MARK = b"Lily asked for the moon"
SETTINGS = parse_settings("")
# What a machine has after some days with a family, and some that a later version may have.
FAMILYS = (
    "outbox.sqlite", "outbox.sqlite-wal", "playing.sqlite", "playing.beat", "loudness.json", "loudness.sqlite",
    "child_lock.json", "rules.json", "sleep_timer.json", "listening-minutes.json", "microphone-off", "local-token",
    "local-key.pem", "stories/index.json", "stories/a/b.mp3", "player/x", "wake/word.json", "ota/trial.log",
    "ota/download/part", "later/deep/file", ".hidden", "outbox.sqlite.damaged-1", "ota/later",
)  # fmt: skip
KEPT = (
    "slots/boot.json", "slots/releases/1.1.0/lib/x.py", "ota/metadata/root.json", "ota/time.json", "ota/task.json",
    "root.json", "media/made.mp3", "agent.lock",
)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    for name in FAMILYS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MARK)
    for name in KEPT:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"kept")
    (folder / "link to the web").symlink_to(tmp_path / "not ours")
    (tmp_path / "not ours").mkdir()
    (tmp_path / "not ours" / "file").write_text("stays")
    (tmp_path / "profile.json").write_bytes(profile_bytes())
    return folder


def left(state: Path) -> set[str]:
    return {
        str(Path(base, name).relative_to(state))
        for base, _folders, names in os.walk(state)
        for name in names
    }


def test_nothing_of_the_family_is_left(state: Path, tmp_path: Path) -> None:
    store_wish(state, Wish(keep_profile=True))
    assert carry_out(state, tmp_path / "profile.json", SETTINGS)
    assert left(state) == set(KEPT)
    for name in left(state):
        assert MARK not in (state / name).read_bytes()
    assert (tmp_path / "profile.json").exists()
    assert (tmp_path / "not ours" / "file").exists()
    assert not carry_out(state, tmp_path / "profile.json", SETTINGS)


def test_the_profile_and_the_stories_on_the_card_go_if_that_is_asked(
    state: Path, tmp_path: Path
) -> None:
    (tmp_path / ".profile.json.tmp").write_bytes(profile_bytes())
    store_wish(state, Wish(keep_profile=False, media=True))
    carry_out(state, tmp_path / "profile.json", SETTINGS)
    assert left(state) == set(KEPT) - {"media/made.mp3"}
    assert not list(tmp_path.glob("*profile.json*"))


def test_files_that_settings_name_inside_the_state_folder_stay(state: Path, tmp_path: Path) -> None:
    settings = parse_settings(
        f'[ota]\nroot_file = "{state}/later/deep/file"\n[play]\nmedia_folder = "stories/a"\n'
    )
    store_wish(state, Wish(keep_profile=True))
    carry_out(state, tmp_path / "profile.json", settings)
    assert left(state) == (set(KEPT) - {"root.json", "media/made.mp3"}) | {
        "later/deep/file", "stories/a/b.mp3",
    }  # fmt: skip


STORIES = ("小星星.mp3", "儿歌/两只老虎.ogg", "儿歌/cover.jpg", "儿歌/深/x.flac")


@pytest.mark.parametrize("media", [".", "..", "{state}", "/", "link", "media/.."])
def test_stories_beside_the_agents_own_files_stay(state: Path, tmp_path: Path, media: str) -> None:
    """play.media_folder is the state folder, or around it: no story is erased, and nothing else of the family stays."""
    (state / "link").symlink_to(".")
    for name in (*STORIES, "wake/take.wav", "player/tone.wav"):
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"kept" if name in STORIES else MARK)
    settings = parse_settings(f'[play]\nmedia_folder = "{media.format(state=state)}"\n')
    store_wish(state, Wish(keep_profile=True))
    carry_out(state, tmp_path / "profile.json", settings)
    assert left(state) - {"link"} == {*KEPT, *STORIES}


@pytest.mark.parametrize(
    "text", ['[play]\nmedia_folder = "."\n[voice]\nquality = 11\n', '[play]\nmedia_folder = "."\n[[broken'],
)  # fmt: skip
def test_wrong_settings_cost_no_story_when_a_reset_is_finished(
    state: Path, tmp_path: Path, text: str
) -> None:
    (state / "小星星.mp3").write_bytes(b"kept")
    config = tmp_path / "agent.toml"
    config.write_text(text)
    store_wish(state, Wish(keep_profile=True))
    finish(state, tmp_path / "profile.json", config)
    assert left(state) == {*KEPT, "小星星.mp3"}


def test_a_machine_whose_profile_and_settings_are_in_the_state_folder_keeps_them(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"profile.json", "agent.toml", "agent.toml.d/a.toml"}
    (state / "agent.toml.d").mkdir()
    for name in files:
        (state / name).write_bytes(b"kept")
    monkeypatch.chdir(state.parent)
    where = Path("state")
    for keep in (True, False):
        store_wish(where, Wish(keep_profile=keep))
        carry_out(where, where / "profile.json", SETTINGS, where / "agent.toml")
        gone = set() if keep else {"profile.json"}
        assert left(state) == (set(KEPT) | files) - gone


def test_a_folder_on_which_no_agent_ran_is_not_erased(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "agent.lock").unlink()
    before = left(state)
    for more in ([], ["--dry-run"]):
        assert main(["factory-reset", "--state", str(state), "--yes", *more]) == 1
    assert "is no agent's state folder" in capsys.readouterr().err
    assert left(state) == before


class PowerCutError(BaseException):
    """The machine is off."""


def test_a_cut_at_any_step_is_finished_by_the_next_start(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*FAMILYS[3:16], "player", "wake"):
        path = state / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    whole = tmp_path / "whole"
    shutil.copytree(state, whole, symlinks=True)
    steps = 0

    def counted(work: Callable[..., object], cut_at: int) -> Callable[..., object]:
        def step(*args: object, **kwargs: object) -> object:
            nonlocal steps
            steps += 1
            if steps == cut_at:
                raise PowerCutError
            return work(*args, **kwargs)

        return step

    def run(cut_at: int) -> int:
        nonlocal steps
        steps = 0
        with monkeypatch.context() as patch:
            for owner, name in ((os, "unlink"), (os, "rmdir"), (reset, "fsync_path")):
                patch.setattr(owner, name, counted(getattr(owner, name), cut_at))
            carry_out(state, tmp_path / "profile.json", SETTINGS)
        return steps

    cut_at = 1
    while True:
        shutil.rmtree(state)
        shutil.copytree(whole, state, symlinks=True)
        (tmp_path / "profile.json").write_bytes(profile_bytes())
        store_wish(state, Wish(keep_profile=False))
        try:
            run(cut_at)
            break
        except PowerCutError:
            carry_out(state, tmp_path / "profile.json", SETTINGS)
            assert left(state) == set(KEPT)
            assert not (tmp_path / "profile.json").exists()
        cut_at += 1
    assert cut_at > 8


def test_each_folder_is_on_the_disk_before_the_wish_goes(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut may bring back what lay deeper, and nothing would erase it again."""
    synced: list[tuple[Path, bool]] = []
    store_wish(state, Wish(keep_profile=True))
    touched = {
        path.parent for path in reset.to_erase(state, reset.kept_names(state, SETTINGS, Wish(True)))
    }
    assert len(touched) > 1
    monkeypatch.setattr(
        reset, "fsync_path", lambda path: synced.append((path, (state / WISH_NAME).exists()))
    )
    carry_out(state, tmp_path / "profile.json", SETTINGS)
    assert touched <= {path for path, is_wished in synced if is_wished}
    assert synced[-1] == (state, False)


def test_what_stays_keeps_the_wish_and_says_so(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_wish(state, Wish(keep_profile=False))

    def refuse(profile: Path) -> None:
        raise OSError(30, "Read-only file system", str(profile))

    with monkeypatch.context() as patch:
        patch.setattr(reset, "_remove_profile", refuse)
        with pytest.raises(ResetError, match=r"not finished: .*profile.json: Read-only"):
            reset.finish(state, tmp_path / "profile.json", None)
    assert load_wish(state) == Wish(keep_profile=False)
    reset.finish(state, tmp_path / "profile.json", tmp_path / "no settings")
    assert load_wish(state) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keep_profile": 1}', "[" * 9999])
def test_a_damaged_wish_keeps_the_profile(state: Path, text: str) -> None:
    (state / "factory-reset.json").write_text(text)
    assert load_wish(state) == Wish(keep_profile=True)


class Machine:
    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state, self.profile = state, state.parent / "profile.json"
        self.unit = Unit()
        self._capsys = capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        files = ["--profile", str(self.profile), "--state", str(self.state), "--lang", "en"]
        code = main([*words, *files])
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def machine(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Machine:
    made = Machine(state, capsys)
    monkeypatch.setattr(reset_command, "Service", lambda: made.unit)
    return made


def test_the_command_shows_asks_stops_erases_and_starts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(machine.state)
    code, out, _ = machine.run("factory-reset", "--dry-run")
    assert code == 0
    assert "outbox.sqlite" in out
    assert "root.json" not in out.partition("kept:")[0]
    monkeypatch.setattr(reset_command, "is_person", lambda: False)
    code, _, err = machine.run("factory-reset")
    assert (code, left(machine.state)) == (1, before)
    assert "add --yes" in err
    machine.unit.active = True
    code, out, err = machine.run("factory-reset", "--yes")
    assert (code, err) == (0, "")
    assert machine.unit.calls == ["stop", "start"]
    assert left(machine.state) == set(KEPT)
    assert not machine.profile.exists()


def test_an_agent_that_runs_by_hand_is_not_erased_from_under_its_feet(machine: Machine) -> None:
    machine.unit.there = False
    before = left(machine.state)
    with state_lock(machine.state):
        code, _, err = machine.run("factory-reset", "--yes", "--keep-profile")
    assert code == 1
    assert "stop it first" in err
    assert left(machine.state) == before


def test_the_first_start_finishes_a_reset_and_then_imports(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.first import places, provision

    boot = machine.state.parent / "boot"
    boot.mkdir()
    for module in (reset_command, provision):
        monkeypatch.setattr(module, "find_on_boot", lambda: places.find_on_boot((boot,)))
    store_wish(machine.state, Wish(keep_profile=False))
    assert machine.run("first-start")[0] == 0
    assert left(machine.state) == set(KEPT)
    assert not machine.profile.exists()
    (boot / "story-agent.profile").write_bytes(profile_bytes())
    assert machine.run("first-start")[0] == 0
    assert machine.profile.read_bytes() == profile_bytes()
    note = load_note(machine.state)
    assert note is not None
    assert "was imported, and erased there" in note["cause"]["en"]
    assert "remedy" not in note
    for name in ("story-agent.profile", "story-agent.profile.txt"):
        (boot / name).write_bytes(profile_bytes())
    code, _, err = machine.run("first-start")
    assert code == 1
    assert "2 profiles" in err
    note = load_note(machine.state)
    assert note is not None
    assert "2 profiles" in note["cause"]["en"]
    assert note["remedy"]["en"] == "leave only the one of this machine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_leaves_belongs_to_the_agents_user(machine: Machine) -> None:
    (machine.state / "agent.lock").unlink()
    os.chown(machine.state, 65534, 65534)
    store_wish(machine.state, Wish(keep_profile=True))
    assert (machine.state / "factory-reset.json").stat().st_uid == 65534
    assert machine.run("first-start")[0] == 0
    assert (machine.state / "agent.lock").stat().st_uid == 65534
