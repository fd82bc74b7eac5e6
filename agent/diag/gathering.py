"""What goes into the archive: each part is gathered by itself, with a deadline, and a failure is its content."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

from agent.config.command import find_faults
from agent.config.origins import explain_settings
from agent.diag.cleaning import Cleaner, secret_words, titles_of, without_family
from agent.doctor.command import CHECKS, examine
from agent.doctor.findings import Level
from agent.doctor.patient import Patient
from agent.event_journal import FILE_NAME, OLD_NAME
from agent.first.bind_token import FILE_NAME as BIND_TOKEN
from agent.local.keyring import FOLDER_NAME
from agent.local.lan import KEY_NAME, TOKEN_NAME
from agent.settings_files import Layers, read_layers
from agent.unit import UNIT
from ota.launch.running import running_release
from ota.trial.log import trial_log_path

# Seconds for each part; the doctor's longest check has 13.
PART_SECONDS = 15.0
PROGRAM_SECONDS = 10.0
LOG_LINES, KERNEL_LINES = 20000, 1000
FILE_MAX = 512 * 1024
LOG_MAX = 8 * 1024 * 1024
TITLES_MAX = 5000
# Nobody opens the microphone to make an archive, and no chime wakes a child.
NOT_EXAMINED = frozenset({"microphone"})
_FACTS = (
    "/etc/os-release", "/proc/device-tree/model", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg",
    "/proc/uptime", "/proc/mounts", "/proc/cmdline", "/proc/asound/cards",
)  # fmt: skip

Part = Callable[[], "str | asyncio.Future[str]"]

README = """Diagnosis of a story machine, made by `story-agent diag`. 这是故事机的诊断包。

Without: tokens, keys, passwords, Wi-Fi names, what a child hears or says, recordings.
不含：令牌、密钥、密码、Wi-Fi 名称、孩子听和说的内容、录音。
With: the machine's uuid, its addresses at home, versions, the agent's log, the doctor's findings, what happened when.
包含：机器的 uuid、家中的网络地址、版本、代理的日志、体检结果、何时发生了什么。
"""


def make_cleaner(patient: Patient) -> Cleaner:
    """Return what takes out this machine's secrets and titles; what cannot be read hides nothing by itself."""
    secrets: set[str] = set()
    profile = patient.profile
    if profile is not None:
        secrets |= set(profile.secrets)
    else:
        secrets |= secret_words(_read_bytes(patient.profile_path))
    state = patient.state
    files = [
        state / TOKEN_NAME,
        state / KEY_NAME,
        state / BIND_TOKEN,
        *_files_of(state / FOLDER_NAME),
    ]
    for file in files:
        secrets |= secret_words(_read_bytes(file))
    titles = titles_of(patient.status) | set(_names(state / patient.settings.play.media_folder))
    titles |= {file.stem for file in _files_of(state / FOLDER_NAME)}
    return Cleaner(secrets, titles)


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _names(folder: Path) -> Iterator[str]:
    """Yield titles and albums of the media folder, up to TITLES_MAX."""
    count = 0
    for _, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(name).stem
            count += 1
            if count >= TITLES_MAX:
                return


def _read_bytes(path: Path, limit: int = FILE_MAX) -> bytes:
    """Return the end of a regular file, nothing if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
            return file.read(limit)
    except OSError:
        return b""


async def gather(patient: Patient, log: Path | None) -> dict[str, str]:
    """Return all parts by their names, not cleaned yet."""
    parts: dict[str, Part] = {
        "status.json": lambda: _json(without_family(patient.status)),
        "settings.json": lambda: _settings(patient),
        "versions.json": _versions,
        "facts.txt": _facts,
        "state-files.txt": lambda: _listing(patient.state),
        "update.txt": lambda: _update(patient.state),
        "events.jsonl": lambda: _events(patient.state),
        "unit.txt": lambda: _run("systemctl", "show", UNIT, "--no-pager"),
        "kernel.txt": lambda: _run(
            "journalctl", "-k", f"--lines={KERNEL_LINES}", "--no-pager", "--output=short-iso"
        ),
        "log.txt": lambda: _log(log),
    }  # fmt: skip
    texts = await asyncio.gather(_doctor(patient), *(_part(part) for part in parts.values()))
    return dict(zip(["doctor.json", *parts], texts, strict=True))


async def _part(part: Callable[[], object]) -> str:
    try:
        async with asyncio.timeout(PART_SECONDS):
            return str(await asyncio.to_thread(part))
    except TimeoutError:
        return f"[not gathered: no result in {PART_SECONDS:g} s]\n"
    except Exception as error:  # noqa: BLE001  # one part that fails must not cost the others
        return f"[not gathered: {type(error).__name__}: {error}]\n"


async def _doctor(patient: Patient) -> str:
    checks = {name: check for name, check in CHECKS.items() if name not in NOT_EXAMINED}
    findings = await examine(patient, checks)
    return _json(
        {
            "ok": all(finding.level is not Level.BAD for finding in findings),
            "findings": [finding.to_json("en") for finding in findings],
        }
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


def _settings(patient: Patient) -> str:
    layers = Layers() if patient.config is None else read_layers(patient.config)
    shown = explain_settings(patient.settings, layers, patient.profile)
    told = {each.name: {"value": each.value, "from": each.origin.en} for each in shown}
    return _json({"settings": told, "faults": find_faults(layers)})


def _versions() -> str:
    release = running_release()
    packages = {found.name: found.version for found in distributions()}
    return _json(
        {
            "agent": release.version, "source": release.source, "python": sys.version,
            "kernel": platform.uname()._asdict(), "packages": dict(sorted(packages.items())),
        }
    )  # fmt: skip


def _facts() -> str:
    told = []
    for name in _FACTS:
        content = _read_bytes(Path(name), 8192).replace(b"\x00", b" ").decode("utf-8", "replace")
        if content := content or _read_special(Path(name)):
            told.append(f"== {name}\n{content.rstrip()}\n")
    return "\n".join(told)


def _read_special(path: Path) -> str:
    """Return the beginning of a file of /proc, whose size is said to be 0."""
    try:
        with path.open("rb") as file:
            return file.read(8192).replace(b"\x00", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _listing(state: Path) -> str:
    """Return names, sizes and owners at the top of the state folder and of updates; other folders have titles."""
    usage = shutil.disk_usage(state)
    lines = [f"{usage.free} of {usage.total} bytes are free"]
    for folder in (state, state / "ota"):
        for path in _entries(folder):
            found = path.lstat()
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.st_mtime))
            lines.append(
                f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {found.st_size:>10} {when} "
                f"{path.relative_to(state)}"
            )
    return "\n".join(lines) + "\n"


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _update(state: Path) -> str:
    files = [state / "ota" / "task.json", state / "ota" / "rauc.json", state / "slots" / "boot.json",
             trial_log_path(state)]  # fmt: skip
    told = [
        f"== {file.relative_to(state)}\n{_read_bytes(file).decode('utf-8', 'replace')}\n"
        for file in files if file.is_file()
    ]  # fmt: skip
    return "\n".join(told) or "[no update was ever ordered]\n"


def _events(state: Path) -> str:
    """Return the event journal, the older file first."""
    files = [_read_bytes(state / name).decode("utf-8", "replace") for name in (OLD_NAME, FILE_NAME)]
    return "".join(files) or "[nothing has happened yet]\n"


def _log(log: Path | None) -> str:
    if log is not None:
        with log.open("rb") as file:  # a log that was named and cannot be read is said
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_MAX))
            return file.read().decode("utf-8", "replace")
    return _run(
        "journalctl", f"--unit={UNIT}", "--unit=story-player@*", "--since=-14d", f"--lines={LOG_LINES}",
        "--no-pager", "--output=short-iso-precise",
    )  # fmt: skip


def _run(*words: str) -> str:
    """Return what a program prints, and its errors."""
    done: Sequence[str]
    try:
        found = subprocess.run(  # noqa: S603  # fixed words of this module
            words, capture_output=True, text=True, errors="replace", timeout=PROGRAM_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        return f"[not gathered: there is no {words[0]}]\n"
    except subprocess.TimeoutExpired:
        return f"[not gathered: {words[0]} took longer than {PROGRAM_SECONDS:g} s]\n"
    done = [found.stdout[-LOG_MAX:], found.stderr[-2000:]]
    return "\n".join(text for text in done if text)
