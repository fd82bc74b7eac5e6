"""Why a command reaches no agent: what the socket says, and if that is the machine's own agent, what systemd says."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from agent.local.client import AgentUnreachableError
from agent.unit import Run, ask_systemd, judge, last_line, run_program
from agent.words import Words, say
from agent.words.causes import explain

# Of a path that leads to no folder, in which nothing can run.
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
# The state folder of the unit: only about its agent does systemd know anything.
UNIT_STATE = Path("/var/lib/story-agent")


def explain_silence(
    error: AgentUnreachableError, state: Path, run: Run = run_program
) -> tuple[Words, Words]:
    """Return cause and remedy; asks systemd about the agent on UNIT_STATE."""
    place, reason = error.place, error.__cause__
    if isinstance(reason, PermissionError):
        return (
            Words(
                f"{place} 只有代理的用户和 root 能用",
                f"only root and the agent's user may use {place}",
            ),
            Words("在命令前加 sudo", "put sudo before the command"),
        )
    is_absent = isinstance(reason, (FileNotFoundError, ConnectionRefusedError))
    if is_absent:
        cause = Words(f"{place} 上没有代理在运行", f"no agent runs on {place}")
        remedy = Words(
            "启动它，或用 --state 指明它的文件夹", "start it, or name its --state folder"
        )
    else:
        told = explain(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)
        cause = Words(
            f"{place} 上的代理没有回答：{told.zh}",
            f"the agent on {place} does not answer: {told.en}",
        )
        remedy = Words("重启代理", "restart the agent")
        if getattr(reason, "errno", None) in _NO_FOLDER:
            remedy = Words("用 --state 指明它的文件夹", "name its --state folder")
    if state != UNIT_STATE or (unit := ask_systemd(run)) is None:
        return cause, remedy
    known, remedy = judge(unit)
    if line := last_line(run):
        known = Words(f"{known.zh}；最后的错误：{line}", f"{known.en}; its last error: {line}")
    return Words(f"{cause.zh}：{known.zh}", f"{cause.en}: {known.en}"), remedy


def print_silence(error: AgentUnreachableError, state: Path) -> None:
    """Print cause and remedy on stderr."""
    cause, remedy = explain_silence(error, state)
    print(f"story-agent: {say(cause)}\n    → {say(remedy)}", file=sys.stderr)
