"""What systemd knows of the agent's service: its state, and why it ended last; for when the agent itself is silent."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence

from agent.exits import EX_CONFIG
from agent.words import Words
from wire.records import dataclass

UNIT = "story-agent.service"
# Seconds; systemctl answers in milliseconds unless systemd itself hangs.
ASK_SECONDS = 3.0
PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "ExecMainCode", "ExecMainStatus",
    "NRestarts", "StatusText", "NeedDaemonReload",
)  # fmt: skip
# Characters of a log line that are shown.
LINE_LIMIT = 300

Run = Callable[[Sequence[str]], "str | None"]
"""Runs a program; returns its output, None if it is missing, fails or is too slow."""

# Exit codes before the program itself runs: systemd.exec(5), "Process exit codes".
_BEFORE: Mapping[int, Words] = {
    200: Words("它的工作文件夹不在", "its working folder is missing"),
    203: Words("程序启动不了：文件不在或损坏", "its program cannot be started: missing or damaged"),
    216: Words("没有用户组 story-agent", "the group story-agent is missing"),
    217: Words("没有用户 story-agent", "the user story-agent is missing"),
    218: Words("能力设置不了", "its capabilities cannot be set"),
    226: Words("隔离的文件系统建不起来", "its own view of the file system cannot be set up"),
    228: Words("系统调用的过滤设置不了", "its filter of system calls cannot be set"),
    233: Words("/run 下的文件夹建不了", "its folder in /run cannot be made"),
    238: Words("状态文件夹建不了：卡满、只读或权限不对", "its state folder cannot be made: the card is full or read-only"),
    241: Words("设置文件夹建不了", "its folder of settings cannot be made"),
}  # fmt: skip
_RESULTS: Mapping[str, Words] = {
    "watchdog": Words("它停住了，被看门狗结束", "it hung, and the watchdog ended it"),
    "oom-kill": Words("内存不够，被系统结束", "the system ended it for want of memory"),
    "timeout": Words("启动或停止太慢", "its start or its end took too long"),
    "start-limit-hit": Words("启动太频繁，systemd 不再启动它", "it was started too often, and systemd has given up"),
    "resources": Words("系统资源不够", "the system lacks resources"),
    "protocol": Words("它没有报告已启动", "it did not report that it had started"),
    "core-dump": Words("它崩溃了", "it crashed"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """The service as ``systemctl show`` has it.

    Attributes:
        load: LoadState: ``loaded``, ``not-found``, ``masked``.
        active: ActiveState: ``active``, ``activating``, ``inactive``, ``failed``…
        sub: SubState: ``running``, ``auto-restart``, ``dead``…
        enabled: UnitFileState: ``enabled``, ``disabled``…
        result: Result: ``success``, ``exit-code``, ``signal``, ``watchdog``…
        status: ExecMainStatus: the exit code, or the signal's number.
        restarts: how often systemd has started it anew by itself.
        text: the last ``STATUS=`` of the agent.
    """

    load: str = ""
    active: str = ""
    sub: str = ""
    enabled: str = ""
    result: str = ""
    status: int = 0
    restarts: int = 0
    text: str = ""

    @property
    def runs(self) -> bool:
        """Whether systemd takes the agent for a running one."""
        return self.active in {"active", "reloading"}


def parse_unit(text: str) -> Unit:
    """Read the output of ``systemctl show``; what is missing or no number is empty or 0."""
    told = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return Unit(
        told.get("LoadState", ""), told.get("ActiveState", ""), told.get("SubState", ""),
        told.get("UnitFileState", ""), told.get("Result", ""), _number(told.get("ExecMainStatus")),
        _number(told.get("NRestarts")), told.get("StatusText", ""),
    )  # fmt: skip


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def run_program(words: Sequence[str]) -> str | None:
    """Run a program with a deadline; see `Run`."""
    import subprocess  # noqa: PLC0415  # only when the agent is silent

    try:
        done = subprocess.run(  # noqa: S603  # fixed words of this module
            words, capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def ask_systemd(run: Run = run_program) -> Unit | None:
    """Return the service's state; None: this system has no systemd, or it does not answer."""
    told = run(["systemctl", "show", UNIT, "--no-pager", f"--property={','.join(PROPERTIES)}"])
    unit = parse_unit(told or "")
    return unit if unit.load else None


def last_line(run: Run = run_program) -> str:
    """Return the last error of the service in the journal, "" if there is none or we may not read it."""
    told = run(["journalctl", f"--unit={UNIT}", "--priority=err", "--lines=1", "--output=cat",
                "--no-pager", "--quiet"])  # fmt: skip
    lines = (told or "").strip().splitlines()
    return lines[-1][:LINE_LIMIT] if lines else ""


def reason(unit: Unit) -> Words | None:
    """Return why the service ended last, None if nothing went wrong."""
    if unit.result in _RESULTS:
        return _RESULTS[unit.result]
    if unit.result == "signal":
        return Words(
            f"被信号 {_signal(unit.status)} 结束", f"it was ended by {_signal(unit.status)}"
        )
    if unit.status in _BEFORE:
        return _BEFORE[unit.status]
    if unit.status == EX_CONFIG:
        return Words(
            "设置或身份文件不能用（78）", "its settings or its profile cannot be used (78)"
        )
    if unit.status:
        return Words(f"退出码 {unit.status}", f"it ended with exit code {unit.status}")
    return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _do(command: str) -> Words:
    return Words(f"sudo systemctl {command} story-agent", f"sudo systemctl {command} story-agent")


_LOOK = Words(
    "sudo story-agent doctor；sudo journalctl -u story-agent -n 50",
    "sudo story-agent doctor; sudo journalctl -u story-agent -n 50",
)


def judge(unit: Unit) -> tuple[Words, Words]:
    """Return cause and remedy for a service whose agent does not answer on its socket."""
    if unit.load == "not-found":
        install = Words("sudo apt install story-agent", "sudo apt install story-agent")
        return Words(f"服务 {UNIT} 没有安装", f"the service {UNIT} is not installed"), install
    if unit.load == "masked":
        return Words("服务被屏蔽", "the service is masked"), _do("unmask --now")
    why = reason(unit)
    if (
        unit.active == "failed"
        or unit.sub == "auto-restart"
        or (why and unit.active == "activating")
    ):
        return _judge_end(unit, why), _LOOK
    return _judge_calm(unit)


def _judge_end(unit: Unit, why: Words | None) -> Words:
    told = why or Words("原因不明", "the reason is not known")
    if not unit.restarts:
        return Words(f"代理结束了：{told.zh}", f"the agent has ended: {told.en}")
    return Words(
        f"代理一再结束：{told.zh}；已重启 {unit.restarts} 次",
        f"the agent ends again and again: {told.en}; {unit.restarts} restarts so far",
    )


def _judge_calm(unit: Unit) -> tuple[Words, Words]:
    if unit.active == "activating":
        return Words("代理正在启动", "the agent is starting"), Words("稍等片刻", "wait a moment")
    if unit.runs:
        hangs = Words(
            "systemd 说它在运行，但它没有回答", "systemd says that it runs, and it does not answer"
        )
        return hangs, _do("restart")
    if unit.enabled in {"disabled", "indirect"}:
        off = Words(
            "服务已停止，开机也不启动",
            "the service is stopped, and does not start with the machine",
        )
        return off, _do("enable --now")
    return Words("服务已停止", "the service is stopped"), _do("start")
