"""Checks of what carries the agent: its service, the card's wear, memory, and the permission to power off."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.status_text import VALUES
from agent.unit import Run, Unit, ask_systemd, judge, last_line, reason, run_program
from agent.unreachable import UNIT_STATE
from agent.words import Words
from agent.words.causes import explain
from wire.ota import InstallerKind

BLOCK, EXT4 = Path("/sys/block"), Path("/sys/fs/ext4")
MEMINFO = Path("/proc/meminfo")
RULE = "50-story-agent.rules"
RULES = (Path("/etc/polkit-1/rules.d"), Path("/usr/share/polkit-1/rules.d"))
# kB. A story takes 80 MB more than an idle agent; below 30 MB the kernel begins to end programs.
LOW_KB, EMPTY_KB = 100_000, 30_000
# JEDEC eMMC 5.1, 7.4.100: life time used in steps of 10 %, 0x0B is beyond; PRE_EOL_INFO 2 is a warning, 3 urgent.
WORN_STEP, SPENT_STEP, URGENT = 9, 11, 3

_CARD = Words(
    "备份后更换存储卡；故障会越来越多",
    "replace the card, and copy what is on it before: such faults grow",
)


def check_unit(patient: Patient, run: Run = run_program) -> Finding:
    """Return what systemd says of the service, where it is the one that is looked at."""
    if patient.state != UNIT_STATE:
        return skipped("unit", "状态文件夹不是服务的", "the state folder is not the service's")
    unit = ask_systemd(run)
    if unit is None:
        return skipped("unit", "这里没有 systemd", "systemd does not answer here")
    if unit.runs and patient.status is not None:
        return _judge_running(unit)
    cause, remedy = judge(unit)
    if line := last_line(run):
        cause = Words(f"{cause.zh}；最后的错误：{line}", f"{cause.en}; its last error: {line}")
    return bad("unit", cause, remedy)


def _judge_running(unit: Unit) -> Finding:
    text = explain(unit.text)
    told = (
        f"：{VALUES.get(text.zh, text.zh)}" if unit.text else "",
        f": {text.en}" if unit.text else "",
    )
    if not unit.restarts:
        return good("unit", f"服务在运行{told[0]}", f"the service runs{told[1]}")
    why = reason(unit) or Words("原因见日志", "the log has the reason")
    return hint(
        "unit", Words(f"服务在运行，但重启过 {unit.restarts} 次：{why.zh}", f"the service runs, after {unit.restarts} restarts: {why.en}"),
        Words("sudo journalctl -u story-agent -p err", "sudo journalctl -u story-agent -p err"),
    )  # fmt: skip


def check_card(_patient: Patient, block: Path = BLOCK, ext4: Path = EXT4) -> Iterator[Finding]:
    """Return how worn the card is, as far as it tells, and whether the file system has seen errors."""
    found = [*_wear(block), *_errors(ext4)]
    if not found:
        yield skipped("card", "没有能说明磨损的存储器", "no storage here tells of its wear")
    yield from found


def _wear(block: Path) -> Iterator[Finding]:
    for device in _entries(block):
        folder = block / device / "device"
        steps = [_hex(word) for word in _read(folder / "life_time").split()]
        if steps and any(steps):
            yield _judge_wear(device, max(steps), _hex(_read(folder / "pre_eol_info")))
        elif _read(folder / "type") == "SD":
            yield skipped(
                "card", f"{device} 是 SD 卡，不说明磨损", f"{device} is an SD card, which does not tell of its wear"
            )  # fmt: skip


def _judge_wear(device: str, step: int, left: int) -> Finding:
    percent = f"{min(step, 10) * 10} %"
    told = Words(f"{device} 的寿命已用约 {percent}", f"some {percent} of {device}'s life is used")
    if step >= SPENT_STEP or left >= URGENT:
        return bad("card", told, _CARD)
    return hint("card", told, _CARD) if step >= WORN_STEP else good("card", *told)


def _errors(ext4: Path) -> Iterator[Finding]:
    for device in _entries(ext4):
        count = _read(ext4 / device / "errors_count")
        if count.isdigit() and int(count):
            where = _read(ext4 / device / "last_error_func") or "?"
            yield bad(
                "card", Words(f"{device} 的文件系统出过 {count} 次错（{where}）", f"the file system of {device} has seen {count} errors ({where})"),
                _CARD,
            )  # fmt: skip


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _hex(word: str) -> int:
    try:
        return int(word, 16)
    except ValueError:
        return 0


def check_memory(_patient: Patient, meminfo: Path = MEMINFO) -> Finding:
    """Return whether there is memory for a story."""
    told = dict(line.partition(":")[::2] for line in _read(meminfo).splitlines())
    words = told.get("MemAvailable", "").split()
    if not words or not words[0].isdigit():
        return skipped("memory", "读不到内存信息", "the kernel does not tell of memory")
    left = int(words[0])
    shown = Words(f"还有 {left // 1000} MB 内存", f"{left // 1000} MB of memory are left")
    close = Words(
        "关掉别的程序（ps aux --sort -rss 列出最大的），或启用 zram",
        "end other programs (ps aux --sort -rss lists the largest), or enable zram",
    )
    if left < EMPTY_KB:
        return bad("memory", shown, close)
    return hint("memory", shown, close) if left < LOW_KB else good("memory", *shown)


def check_polkit(patient: Patient, folders: tuple[Path, ...] = RULES) -> Finding:
    """Return whether the agent's user may power off or restart the machine, where the settings want that."""
    settings = patient.settings
    if not settings.switch.armed and settings.ota.installer is not InstallerKind.RAUC:
        return skipped("polkit", "没有启用关机", "powering off is not wanted")
    hidden = False
    for folder in folders:
        try:
            if stat.S_ISREG((folder / RULE).stat().st_mode):
                return good("polkit", f"{folder / RULE}", f"{folder / RULE}")
        except PermissionError:
            hidden = True
        except OSError:
            continue
    if hidden:
        return skipped(
            "polkit",
            "规则文件夹只有 root 能看：用 sudo 运行",
            "only root sees the rules: run doctor by sudo",
        )
    return bad(
        "polkit", Words("没有允许关机的 polkit 规则", "no polkit rule lets the agent power off the machine"),
        Words(f"把 systemd/{RULE} 放进 {folders[0]}，并安装 polkitd", f"put systemd/{RULE} into {folders[0]}, and install polkitd"),
    )  # fmt: skip
