"""``story-agent diag`` on a machine in whose every corner there is a secret; agent.diag.gathering too."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cli import main
from agent.diag import command, gathering
from agent.doctor.command import CHECKS
from agent.exits import EX_FAILED, EX_OK
from agent.local.keyring import Keyring
from agent.local.lan import load_identity, load_token
from tests.agent.parts import make_profile
from tests.authority import Authority
from wire.profile import render_profile

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TOTAL_MAX = 5_000_000

WIFI = "Familie-Müller-5G"
STORY = "小红帽和大灰狼"
OLD_TOKEN = "0123456789abcdef0123456789abcdef"
PLANTED = "planted-geheimnis"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """Return the folder of a machine without a running agent, and its secrets."""
    folder = tmp_path_factory.mktemp("machine")
    state = folder / "state"
    (state / "media" / "睡前故事").mkdir(parents=True)
    (state / "media" / "睡前故事" / f"{STORY}.mp3").write_bytes(b"")
    (state / "ota").mkdir()
    profile = replace(
        make_profile(1, Authority().pem), token=f"{PLANTED}-token", bind_token=f"{PLANTED}-bind"
    )
    (folder / "profile.json").write_bytes(render_profile(profile))
    token, identity = load_token(state), load_identity(state)
    keys = Keyring(state / "lan").add("mamas-phone", set())
    (folder / "agent.toml").write_text(
        f'[ota]\nrepository = "https://u:{PLANTED}@h/tuf?token={PLANTED}"\n'
    )
    key = identity.key.read_text().splitlines()[1]
    secrets = {
        PLANTED, token, key, WIFI, STORY, OLD_TOKEN, "mamas-phone", "睡前故事", keys.secret.hex(),
        base64.b64encode(keys.secret).decode(),
    }  # fmt: skip
    lines = [
        *secrets - {PLANTED},
        f'wlan0: SSID="{WIFI}"',
        f"ssid={WIFI}",
        json.dumps(STORY),
        repr(STORY),
    ]
    lines += [f"play: 网上的故事 is skipped: no answer from https://u:{PLANTED}@h/a.mp3"]
    text = "\n".join(
        f"INFO agent: something about {line} happened" for line in lines if line != WIFI
    )
    (folder / "log").write_text(text)
    (state / "ota" / "task.json").write_text(json.dumps({"url": f"https://x:{PLANTED}@h"}))
    (state / "ota" / "trial.log").write_text(text)
    return folder, secrets | {"网上的故事"}


def run(folder: Path, *words: str) -> int:
    return main(
        ["diag", *words, "--state", str(folder / "state"), "--profile", str(folder / "profile.json"),
         "--config", str(folder / "agent.toml"), "--log", str(folder / "log")]
    )  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the checks that look at the network and the sound, which have their own tests."""
    few = {"profile", "settings", "state", "records", "agent"}
    monkeypatch.setattr(gathering, "NOT_EXAMINED", set(CHECKS) - few)


@pytest.mark.usefixtures("quick")
def test_the_newest_lines_of_the_journal_and_of_the_kernel_are_in_it(
    machine: tuple[Path, set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = machine[0], set[str]()

    def note(*words: str) -> str:
        asked.update(word for word in words if word.startswith("--lines="))
        return "x\n"

    monkeypatch.setattr(gathering, "_run", note)
    words = ["diag", str(tmp_path / "out.tar.gz"), "--state", str(folder / "state")]
    assert main([*words, "--profile", str(folder / "profile.json")]) == EX_OK
    assert asked == {"--lines=20000", "--lines=1000"}


@pytest.mark.usefixtures("quick")
def test_nothing_secret_and_nothing_of_the_family_is_in_it(
    machine: tuple[Path, set[str]], tmp_path: Path
) -> None:
    folder, secrets = machine
    file = tmp_path / "out.tar.gz"
    assert run(folder, str(file)) == EX_OK
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        members = {Path(info.name).name: info for info in tar.getmembers()}
        texts = {name: tar.extractfile(info).read().decode() for name, info in members.items()}  # type: ignore[union-attr]
    assert {"README.txt", "status.json", "doctor.json", "settings.json", "versions.json", "log.txt",
            "update.txt", "unit.txt", "kernel.txt", "facts.txt", "state-files.txt",
            "events.jsonl"} == set(texts)  # fmt: skip
    assert len(secrets) > 3
    for name, text in texts.items():
        for secret in secrets:
            assert secret not in text, f"{name}: {secret}"
        assert PLANTED.encode().hex() not in text
    assert texts["log.txt"].count("INFO agent: something about") == len(
        (folder / "log").read_text().splitlines()
    )
    assert '"check": "profile"' in texts["doctor.json"]
    assert json.loads(texts["settings.json"])["settings"]["ota.repository"]["from"].endswith(
        "agent.toml:2"
    )
    assert all(info.mode == 0o600 for info in members.values())


@pytest.mark.usefixtures("quick")
def test_a_disk_that_is_full_says_what_to_do(
    machine: tuple[Path, set[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "x.tar.gz")

    monkeypatch.setattr(command, "write_atomically", full)
    assert run(machine[0], "x.tar.gz") == EX_FAILED
    assert capsys.readouterr().err == (
        "story-agent: x.tar.gz: the card is full; if the card is full, story-agent diag - writes elsewhere"
        " (the other end of ssh)\n"
    )


def test_to_standard_output_in_a_real_process(machine: tuple[Path, set[str]]) -> None:
    """With the whole doctor, without an agent, and with a profile that cannot be read."""
    folder = machine[0]
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "diag", "-", "--state", folder / "nothing", "--profile",
         folder / "none.json", "--log", folder / "none.log"],
        capture_output=True, check=True, timeout=100, env={"PATH": "/nowhere", "STORY_AGENT_LANG": "en"},
    )  # fmt: skip
    assert done.stderr == b""
    assert len(done.stdout) < TOTAL_MAX
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        (log,) = [info for info in tar.getmembers() if info.name.endswith("/log.txt")]
        text = tar.extractfile(log).read().decode()  # type: ignore[union-attr]
    assert text.startswith("[not gathered: FileNotFoundError")


async def test_a_part_that_hangs_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    never = threading.Event()
    monkeypatch.setattr(gathering, "PART_SECONDS", 0.01)
    try:
        assert await gathering._part(never.wait) == "[not gathered: no result in 0.01 s]\n"
    finally:
        never.set()
