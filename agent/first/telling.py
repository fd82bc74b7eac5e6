"""How the commands of a machine's first day speak: one language, a result, its cause and what to do."""

from __future__ import annotations

import sys

from agent.exits import EX_FAILED
from agent.words import Words, say

YES = {"y", "yes", "是", "好", "1"}


class Teller:
    """Prints for a person, in the language of this process."""

    def say(self, words: Words) -> None:
        """Print one line."""
        print(say(words), flush=True)

    def ask(self, words: Words) -> bool:
        """Ask; return whether the answer is yes. The end of the input is no."""
        print(say(words), end=" ", flush=True)
        try:
            return input().strip().lower() in YES
        except EOFError:
            print()
            return False

    def fail(self, cause: Words, remedy: Words | None = None) -> int:
        """Say on stderr what is wrong and what to do; return the exit code."""
        print(f"story-agent: {say(cause)}", file=sys.stderr)
        if remedy is not None:
            print(f"    → {say(remedy)}", file=sys.stderr, flush=True)
        return EX_FAILED


def is_person(stream: object = None) -> bool:
    """Return whether somebody can be asked."""
    found = sys.stdin if stream is None else stream
    return bool(getattr(found, "isatty", bool)())


def system_words(error: OSError) -> Words:
    """Return what the system says of a failed call, with the file that it is about."""
    reason = error.strerror or str(error)
    zh = _CHINESE.get(error.errno or 0, reason)
    name = f"{error.filename}: " if error.filename else ""
    return Words(f"{name}{zh}", f"{name}{reason}")


_CHINESE = {
    1: "没有权限", 2: "没有这个文件或文件夹", 5: "读写出错（卡可能坏了）", 13: "没有权限", 17: "已经存在",
    20: "不是文件夹", 21: "是文件夹，不是文件", 22: "不是普通文件", 27: "文件太大", 28: "空间已满", 30: "只读",
}  # fmt: skip
