"""``story-agent voice``: what the microphone was opened for, and erasing it; the running agent is asked."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, say, spoken

if TYPE_CHECKING:
    from agent.local.client import LocalAnswer


def register(subparsers: Any, asking: argparse.ArgumentParser) -> None:
    """Add the command; ``asking`` has the options that all share."""
    parser = subparsers.add_parser(
        "voice", parents=[asking],
        help=say(Words(
            "麦克风为什么开过、声音到了哪里，以及抹掉它",
            "why the microphone was opened and where the sound went, and erasing it",
        )),
    )  # fmt: skip
    parser.add_argument("action", nargs="?", choices=["list", "erase"], default="list")
    parser.add_argument(
        "numbers", nargs="*", metavar="NUMBER",
        help=say(Words("erase：list 里的号码，或 all", "erase: numbers of list, or all")),
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help=say(Words("输出一个 JSON 对象", "as one JSON object"))
    )
    parser.set_defaults(run=run_voice)


def run_voice(options: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415
    from agent.state import socket_to_ask  # noqa: PLC0415

    fault = _find_fault(options)
    if fault is not None:
        print(f"story-agent: {say(fault)}", file=sys.stderr)
        return EX_FAILED
    client = LocalClient(socket_to_ask(options.state))
    try:
        answer = client.request(*_request(options))
    except AgentUnreachableError as error:
        from agent.unreachable import print_silence  # noqa: PLC0415  # only then

        print_silence(error, options.state)
        return EX_FAILED
    return _tell(options, answer)


def _find_fault(options: argparse.Namespace) -> Words | None:
    if options.action == "list":
        if not options.numbers:
            return None
        return Words("list 不要号码", "list takes no numbers")
    if options.numbers == ["all"]:
        return None
    if options.numbers and all(n.isascii() and n.isdigit() for n in options.numbers):
        return None
    got = " ".join(options.numbers) or "-"
    return Words(
        f"得到 {got}，应为 list 里的号码，或 all", f"got {got}, expected numbers of list, or all"
    )


def _request(options: argparse.Namespace) -> tuple[str, str]:
    if options.action == "list":
        return "GET", "/voice-ledger"
    some = "" if options.numbers == ["all"] else f"?id={','.join(options.numbers)}"
    return "DELETE", f"/voice-ledger{some}"


def _tell(options: argparse.Namespace, answer: LocalAnswer) -> int:
    if answer.status >= 300:
        from agent.words.causes import explain  # noqa: PLC0415  # only then

        print(f"story-agent: {say(explain(answer.text))}", file=sys.stderr)
        return EX_FAILED
    if options.json:
        print(answer.text)
        return EX_OK
    told = json.loads(answer.body)
    if options.action == "erase":
        _tell_erased(told)
    else:
        _tell_list(told)
    return EX_OK


def _tell_list(told: dict[str, Any]) -> None:
    from agent.local.page.ledger_view import build_ledger  # noqa: PLC0415  # see the module's head

    shown: Any = build_ledger(told, spoken())
    for entry in shown["entries"]:
        fate = f" [{entry['fate']}]" if entry["fate"] else ""
        print(f"{entry['number']} {entry['time']} {entry['text']}{fate}")
    if not shown["entries"]:
        print(say(Words("麦克风还没有开过", "the microphone was not opened yet")))
    if shown["fault"]:
        print(
            say(
                Words(
                    f"存不到卡上：{shown['fault']}", f"the card does not keep it: {shown['fault']}"
                )
            )
        )


def _tell_erased(told: dict[str, Any]) -> None:
    waiting = sum(entry["erased"] == "waiting" for entry in told["entries"])
    count = told["ordered"]
    print(say(Words(f"要抹掉 {count} 条", f"{count} to be erased")))
    if waiting:
        print(say(Words(
            f"{waiting} 条等云抹掉，在 story-agent voice 里看",
            f"{waiting} wait for the cloud: story-agent voice tells when it is done",
        )))  # fmt: skip
