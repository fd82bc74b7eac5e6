"""The commands that send requests to the running agent: status, get, set, say, listen, update.

`agent.cli` imports this module before it knows the command, so what a command needs beyond the
standard library's light parts is imported when the command runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, say
from agent.words.numbers import SECONDS, number

if TYPE_CHECKING:
    from agent.local.client import LocalAnswer, LocalClient

Work = Callable[["LocalClient", argparse.Namespace], str]
"""Sends a command's requests; returns the text to print, or raises _RefusedError or OSError."""


class _RefusedError(Exception):
    """The agent, or the command itself, refuses; the message says why."""


def register(subparsers: Any, state: argparse.ArgumentParser) -> None:
    """Add the commands to the command line; ``state`` has the option that all share."""

    def command(name: str, work: Work, text: Words) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = subparsers.add_parser(
            name, parents=[state], help=say(text)
        )
        parser.set_defaults(run=lambda options: _ask(work, options))
        return parser

    _add_status(subparsers, state)
    get = command("get", _get, Words("读一个数据点", "read a data point"))
    get.add_argument("name", metavar="NAME")
    put = command("set", _set, Words("写一个数据点", "set a data point"))
    put.add_argument("name", metavar="NAME")
    put.add_argument("value", metavar="VALUE")
    speak = command(
        "say", _say, Words("把 WAV 文件当作一句话送出", "send a WAV file as an utterance")
    )
    speak.add_argument("file", type=Path, metavar="FILE.wav")
    listen = command(
        "listen", _listen,
        Words("打开麦克风，直到有人说完话", "open the microphone until somebody has spoken"),
    )  # fmt: skip
    listen.add_argument(
        "action", nargs="?", choices=["start", "hold", "release", "cancel"], default="start",
        help=say(Words(
            "start：到安静为止；hold：到 release 或按回车为止",
            "start: until silence; hold: until release, or until Enter is pressed",
        )),
    )  # fmt: skip
    add_json(listen)
    update = command(
        "update", _update, Words("显示最后一次升级，或取消它", "show the last update, or cancel it")
    )
    update.add_argument("action", nargs="?", choices=["show", "cancel"], default="show")
    add_json(update)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    text = say(Words("输出一个 JSON 对象", "as one JSON object"))
    parser.add_argument("--json", action="store_true", help=text)


def _add_status(subparsers: Any, state: argparse.ArgumentParser) -> None:
    text = say(Words("显示代理的状态", "show the running agent's state"))
    status = subparsers.add_parser("status", parents=[state], help=text)
    add_json(status)
    status.add_argument(
        "--check", action="store_true",
        help=say(Words("不在线时退出码为 1", "exit with 1 unless the machine is online")),
    )  # fmt: skip
    status.add_argument(
        "--watch", action="store_true",
        help=say(Words("一直显示，按 Ctrl-C 结束", "show it again and again, until Ctrl-C")),
    )  # fmt: skip
    status.add_argument(
        "--interval", type=number(0.1, 3600, SECONDS), default=2.0, metavar="S",
        help=say(Words("--watch 的间隔秒数（2）", "seconds between two looks of --watch (2)")),
    )  # fmt: skip
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from agent.status import run_status  # noqa: PLC0415  # see the module's head

    return run_status(options)


def _ask(work: Work, options: argparse.Namespace) -> int:
    """Run one command's ``work``, print its text or its error, and return the exit code."""
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415
    from agent.state import socket_to_ask  # noqa: PLC0415

    try:
        text = work(LocalClient(socket_to_ask(options.state)), options)
    except AgentUnreachableError as error:
        from agent.unreachable import print_silence  # noqa: PLC0415  # only then

        print_silence(error, options.state)
        return EX_FAILED
    except (_RefusedError, OSError) as error:
        from agent.words.causes import explain, explain_error  # noqa: PLC0415  # only then

        told = explain_error(error) if isinstance(error, OSError) else explain(str(error))
        print(f"story-agent: {say(told)}", file=sys.stderr)
        return EX_FAILED
    if text:
        print(text)
    return EX_OK


def _request(client: LocalClient, method: str, target: str, body: bytes = b"") -> LocalAnswer:
    answer = client.request(method, target, body)
    if answer.status >= 300:
        # A redirect has no text: the device page's address is not a data point's name.
        raise _RefusedError(answer.text or f"{_shown(target)}: no such data point")
    return answer


def _get(client: LocalClient, options: argparse.Namespace) -> str:
    return _request(client, "GET", _target(options.name)).text


def _set(client: LocalClient, options: argparse.Namespace) -> str:
    return _request(client, "PUT", _target(options.name), os.fsencode(options.value)).text


def _say(client: LocalClient, options: argparse.Namespace) -> str:
    sent = json.loads(_request(client, "POST", "/voice", _read_sound(options.file)).body)
    number, parts, seconds = sent["id"], sent["segments"], sent["seconds"]
    told = Words(
        f"第 {number} 句：{parts} 段，{seconds} 秒",
        f"utterance {number}: {parts} segments, {seconds} s",
    )
    cut = Words("，超过上限的部分已截去", ", cut at the limit") if sent["cut"] else Words("", "")
    return say(told) + say(cut)


def _read_sound(file: Path) -> bytes:
    from base.files import read_given  # noqa: PLC0415  # see the module's head
    from wire.exchange import WAV_LIMIT  # noqa: PLC0415

    return read_given(file, WAV_LIMIT)


def _listen(client: LocalClient, options: argparse.Namespace) -> str:
    if options.action == "hold" and sys.stdin.isatty():
        Thread(target=_release_at_enter, args=(client,), daemon=True).start()
    try:
        answer = _request(client, "POST", "/listen", options.action.encode())
    except KeyboardInterrupt:
        client.request("POST", "/listen", b"cancel")  # closed is closed
        raise
    if options.json:
        return answer.text
    return _tell_heard(json.loads(answer.body))


def _release_at_enter(client: LocalClient) -> None:
    """Let go when somebody presses Enter; at the end of the input nobody can any more."""
    sys.stdin.readline()
    client.request("POST", "/listen", b"release")


def _tell_heard(heard: dict[str, Any]) -> str:
    """Return one line on how listening ended; raises _RefusedError if nothing reached the cloud."""
    if "released" in heard:
        held = Words("已放开", "released"), Words("没有在听", "nothing was held")
        return say(held[not heard["released"]])
    if "cancelled" in heard:
        ended = Words("已取消", "cancelled"), Words("机器没有在听", "the machine did not listen")
        return say(ended[not heard["cancelled"]])
    if heard["end"] != "sent":
        reason = f": {heard['reason']}" if heard["reason"] else ""
        raise _RefusedError(f"listen: {heard['end']}{reason}")
    answers = Words("有回答", "answered"), Words("没有回答", "not answered")
    answered = say(answers[not heard["answered"]])
    if heard.get("answer"):
        answered += f": {heard['answer'].replace('_', ' ')}"
    number, parts = heard["id"], heard["segments"]
    return say(
        Words(
            f"第 {number} 句：{parts} 段，{answered}",
            f"utterance {number}: {parts} segments, {answered}",
        )
    )


def _update(client: LocalClient, options: argparse.Namespace) -> str:
    update = json.loads(_request(client, "GET", "/status").body)["update"]
    if options.action == "cancel":
        text = _cancel(client, update)
        return json.dumps({"answer": text}) if options.json else _explained(text)
    if options.json:
        return json.dumps(update)
    from agent.status_text import lines  # noqa: PLC0415  # see the module's head

    return "\n".join(lines(update))


def _explained(text: str) -> str:
    from agent.words.causes import explain  # noqa: PLC0415  # see the module's head

    return say(explain(text))


def _cancel(client: LocalClient, update: dict[str, Any]) -> str:
    from ota.order.states import State  # noqa: PLC0415
    from wire.errors import show  # noqa: PLC0415
    from wire.ota import ORDER_PATH  # noqa: PLC0415

    if update["transaction"] is None:
        raise _RefusedError("no update was ever ordered")
    if State(update["state"]).is_final:
        name, state = show(update["transaction"]), update["state"]
        raise _RefusedError(f"no update is under way: {name} is {state}")
    # The transaction is sent so that an update that has begun meanwhile is not cancelled.
    query = urlencode({"transaction": update["transaction"]})
    return _request(client, "DELETE", f"{_target('/'.join(ORDER_PATH))}?{query}").text


def _shown(target: str) -> str:
    from wire.errors import show  # noqa: PLC0415  # see the module's head

    return show(unquote(target[1:]))


def _target(name: str) -> str:
    return "/" + quote(os.fsencode(name), safe="")
