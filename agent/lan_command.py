"""``story-agent lan``: the clients on the home network and their keys (docs/link.md)."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, say

if TYPE_CHECKING:
    from agent.local.client import LocalAnswer

# The method of each action that names a client.
_METHODS = {"add": "PUT", "renew": "POST", "remove": "DELETE"}

MADE = Words(
    "以上是 {name} 的密钥，只显示这一次：请存入只有它能读的文件。谁拿到密钥，谁就能在家里的网络上操作这台机器。"
    "丢失时：story-agent lan renew {name}",
    "These are the keys of {name}, shown this once: keep them in a file that it alone can read. Whoever has them "
    "can use this machine on the home network. If they are lost: story-agent lan renew {name}",
)
REMOVED = Words(
    "{name} 已删除，其密钥立即失效。", "{name} is removed; its keys are refused from now on."
)
NONE = Words(
    "还没有客户端。添加：story-agent lan add 名称 > keys/secret.json",
    "There are no clients. Add one: story-agent lan add NAME > keys/secret.json",
)
HEARD = Words("{seconds:.0f} 秒前有消息", "heard {seconds:.0f} s ago")
NOT_HEARD = Words("启动以来没有消息", "not heard since the start")
DAMAGED = Words(
    "文件已损坏（{fault}）：story-agent lan renew {name}",
    "its files are damaged ({fault}): story-agent lan renew {name}",
)
NAMELESS = Words(
    "请给出客户端的名称：story-agent lan {action} 名称",
    "Give the client's name: story-agent lan {action} NAME",
)


def register(subparsers: Any, asking: argparse.ArgumentParser) -> None:
    """Add the command to the command line; ``asking`` has the options that all share."""
    parser = subparsers.add_parser(
        "lan", parents=[asking],
        help=say(Words(
            "添加、列出、更换和删除家庭网络上的客户端",
            "add, list, renew and remove clients on the home network",
        )),
    )  # fmt: skip
    parser.add_argument("action", choices=["list", *_METHODS], nargs="?", default="list")
    parser.add_argument(
        "name", nargs="?", metavar="NAME",
        help=say(Words("客户端的名称：a-z、0-9、- 和 _", "a client's: a-z, 0-9, - and _")),
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help=say(Words("输出一个 JSON 对象", "list, remove: as one JSON object")),
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415  # what it alone needs
    from agent.state import socket_to_ask  # noqa: PLC0415
    from wire.errors import FieldError  # noqa: PLC0415
    from wire.lan_keys import check_name  # noqa: PLC0415

    if options.action != "list" and options.name is None:
        return _fail(say(NAMELESS).format(action=options.action))
    try:
        target = "/lan" if options.action == "list" else f"/lan/{check_name(options.name)}"
    except FieldError as error:
        return _fail(_explained(f"lan: {error}"))
    try:
        client = LocalClient(socket_to_ask(options.state))
        answer = client.request(_METHODS.get(options.action, "GET"), target)
    except AgentUnreachableError as error:
        from agent.unreachable import print_silence  # noqa: PLC0415  # only then

        print_silence(error, options.state)
        return EX_FAILED
    if answer.status >= 300:
        return _fail(_explained(answer.text))
    _show(options, answer)
    return EX_OK


def _show(options: argparse.Namespace, answer: LocalAnswer) -> None:
    told = json.loads(answer.body)
    if options.action in {"add", "renew"}:
        # The keys alone are the output, so that they go into a file; what is said about them does not.
        print(json.dumps(told, indent=2))
        print(say(MADE).format(name=options.name), file=sys.stderr)
    elif options.json:
        print(json.dumps(told, ensure_ascii=False))
    elif options.action == "remove":
        print(say(REMOVED).format(name=options.name))
    else:
        print("\n".join(_line(*each) for each in told.items()) or say(NONE))


def _line(name: str, told: dict[str, Any]) -> str:
    if told["state"] == "damaged":
        return f"{name}: {say(DAMAGED).format(fault=_explained(told['fault']), name=name)}"
    if told["state"] == "heard":
        return f"{name}: {say(HEARD).format(seconds=told['seconds'])}"
    return f"{name}: {say(NOT_HEARD)}"


def _explained(text: str) -> str:
    from agent.words.causes import explain  # noqa: PLC0415  # only where something is wrong

    return say(explain(text))


def _fail(text: str) -> int:
    print(f"story-agent: {text}", file=sys.stderr)
    return EX_FAILED
