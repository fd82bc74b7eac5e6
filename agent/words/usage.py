"""argparse's own messages in Chinese: they come from ``gettext``, for which it has no Chinese texts."""

from __future__ import annotations

import argparse

from agent.words import ZH, spoken

# By argparse's message ids; what only a programmer sees is left out (tests/agent/words/test_usage.py).
CHINESE = {
    "usage: ": "用法：",
    "positional arguments": "参数",
    "options": "选项",
    "show this help message and exit": "显示这些说明",
    "%(prog)s: error: %(message)s\n": "%(prog)s：%(message)s\n",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s：%(message)s",
    "the following arguments are required: %s": "缺少参数：%s",
    "unrecognized arguments: %s": "不认识的参数：%s",
    "not allowed with argument %s": "不能和 %s 一起用",
    "one of the arguments %s is required": "以下参数要有一个：%s",
    "invalid choice: %(value)r (choose from %(choices)s)": "没有 %(value)r；可选：%(choices)s",
    "invalid %(type)s value: %(value)r": "%(value)r 不是有效的 %(type)s 值",
    "unknown parser %(parser_name)r (choices: %(choices)s)": "没有命令 %(parser_name)r；可选：%(choices)s",
    "ambiguous option: %(option)s could match %(matches)s": "%(option)s 不明确，可能是 %(matches)s",
    "expected one argument": "要有一个值",
    "expected at most one argument": "最多一个值",
    "expected at least one argument": "至少要有一个值",
    "expected %s argument": "要有 %s 个值",
    "expected %s arguments": "要有 %s 个值",
    "ignored explicit argument %r": "它不带值，却给了 %r",
    "can't open '%(filename)s': %(error)s": "打不开 %(filename)s：%(error)s",
    "unexpected option string: %s": "不认识的选项：%s",
}


def _text(message: str) -> str:
    return CHINESE.get(message, message) if spoken() == ZH else message


def _plural(singular: str, plural: str, count: int) -> str:
    return _text(singular if count == 1 else plural)


def translate_usage() -> None:
    """Let argparse speak the language of this process."""
    # These are the names by which it imports gettext's functions; a version without them speaks English.
    vars(argparse).update(_=_text, ngettext=_plural)
