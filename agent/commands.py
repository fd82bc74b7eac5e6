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
from urllib.parse import quote, urlencode

from agent.exits import EX_FAILED, EX_OK

if TYPE_CHECKING:
    from agent.local.client import LocalAnswer, LocalClient

Work = Callable[["LocalClient", argparse.Namespace], str]
"""Sends a command's requests; returns the text to print, or raises _RefusedError or OSError."""


class _RefusedError(Exception):
    """The agent, or the command itself, refuses; the message says why."""


def register(subparsers: Any, state: argparse.ArgumentParser) -> None:
    """Add the commands to the command line; ``state`` has the option that all share."""

    def command(name: str, work: Work, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = subparsers.add_parser(name, parents=[state], help=text)
        parser.set_defaults(run=lambda options: _ask(work, options))
        return parser

    status = command("status", _show_status, "show the running agent's state")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    get = command("get", _get, "read a data point")
    get.add_argument("name", metavar="NAME")
    put = command("set", _set, "set a data point")
    put.add_argument("name", metavar="NAME")
    put.add_argument("value", metavar="VALUE")
    say = command("say", _say, "send a WAV file as an utterance")
    say.add_argument("file", type=Path, metavar="FILE.wav")
    listen = command("listen", _listen, "open the microphone until somebody has spoken")
    listen.add_argument(
        "action", nargs="?", choices=["start", "hold", "release", "cancel"], default="start",
        help="start: until silence; hold: until release, or until Enter is pressed",
    )  # fmt: skip
    listen.add_argument("--json", action="store_true", help="as one JSON object")
    update = command("update", _update, "show the last update, or cancel it")
    update.add_argument("action", nargs="?", choices=["show", "cancel"], default="show")
    update.add_argument("--json", action="store_true", help="as one JSON object")


def _ask(work: Work, options: argparse.Namespace) -> int:
    """Run one command's ``work``, print its text or its error, and return the exit code."""
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415
    from agent.state import socket_to_ask  # noqa: PLC0415

    try:
        text = work(LocalClient(socket_to_ask(options.state)), options)
    except (AgentUnreachableError, _RefusedError) as error:
        print(f"story-agent: {error}", file=sys.stderr)
        return EX_FAILED
    except OSError as error:
        print(f"story-agent: {error.filename}: {error.strerror}", file=sys.stderr)
        return EX_FAILED
    if text:
        print(text)
    return EX_OK


def _request(client: LocalClient, method: str, target: str, body: bytes = b"") -> LocalAnswer:
    answer = client.request(method, target, body)
    if answer.status >= 300:
        raise _RefusedError(answer.text)
    return answer


def _show_status(client: LocalClient, options: argparse.Namespace) -> str:
    answer = _request(client, "GET", "/status")
    return answer.text if options.json else "\n".join(_lines(json.loads(answer.body)))


def _get(client: LocalClient, options: argparse.Namespace) -> str:
    return _request(client, "GET", _target(options.name)).text


def _set(client: LocalClient, options: argparse.Namespace) -> str:
    return _request(client, "PUT", _target(options.name), os.fsencode(options.value)).text


def _say(client: LocalClient, options: argparse.Namespace) -> str:
    sent = json.loads(_request(client, "POST", "/voice", options.file.read_bytes()).body)
    cut = ", cut at the limit" if sent["cut"] else ""
    return f"utterance {sent['id']}: {sent['segments']} segments, {sent['seconds']} s{cut}"


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
        return "released" if heard["released"] else "nothing was held"
    if "cancelled" in heard:
        return "cancelled" if heard["cancelled"] else "the machine did not listen"
    if heard["end"] != "sent":
        reason = f": {heard['reason']}" if heard["reason"] else ""
        raise _RefusedError(f"listen: {heard['end']}{reason}")
    answered = "answered" if heard["answered"] else "not answered"
    if heard.get("answer"):
        answered += f": {heard['answer'].replace('_', ' ')}"
    return f"utterance {heard['id']}: {heard['segments']} segments, {answered}"


def _update(client: LocalClient, options: argparse.Namespace) -> str:
    update = json.loads(_request(client, "GET", "/status").body)["update"]
    if options.action == "cancel":
        text = _cancel(client, update)
        return json.dumps({"answer": text}) if options.json else text
    return json.dumps(update) if options.json else "\n".join(_lines(update))


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


def _target(name: str) -> str:
    return "/" + quote(os.fsencode(name), safe="")


def _lines(status: dict[str, object], indent: str = "") -> list[str]:
    """Render nested objects as indented ``name: value`` lines, without null values."""
    lines: list[str] = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        elif value is not None:
            lines.append(f"{indent}{name}: {value}")
    return lines
