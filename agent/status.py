"""``story-agent status``: what the running agent tells, once or again and again, and why there is none."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.exits import EX_FAILED, EX_OK
from agent.first.left_over import left_over
from agent.local.client import AgentUnreachableError, LocalClient
from agent.state import socket_to_ask
from agent.status_text import headline, is_online, render
from agent.unreachable import UNIT_STATE, explain_silence, print_silence
from agent.words import say
from base.printing import wait_while_read

# Seconds; the agent answers in milliseconds, and whoever watches must see that it hangs.
ANSWER_SECONDS = 5.0
_CLEAR = "\x1b[H\x1b[2J"

Wait = Callable[[float], bool]
"""Waits for seconds; returns whether anybody still reads what is printed."""


def run_status(options: argparse.Namespace, wait: Wait = wait_while_read) -> int:
    """Print the status; return 0, with ``--check`` only if the machine is online."""
    if options.watch:
        return _watch(options, wait)
    try:
        text, status = _ask(options)
    except AgentUnreachableError as error:
        print_silence(error, options.state)
        return EX_FAILED
    if status is None:
        print(f"story-agent: {text}", file=sys.stderr)
        return EX_FAILED
    if options.json:
        print(text)
    else:
        print(headline(status) if options.check else render(status))
        _tell_left_over(status, options.state)
    return EX_OK if is_online(status) or not options.check else EX_FAILED


def _tell_left_over(status: Mapping[str, object], state: Path) -> None:
    """Say on stderr that the machine's own boot partition still has a profile."""
    uuid = status.get("uuid")
    if state == UNIT_STATE and (told := left_over(uuid if isinstance(uuid, str) else None)):
        print(f"{say(told[0])}\n    → {say(told[1])}", file=sys.stderr)


def _ask(options: argparse.Namespace) -> tuple[str, Mapping[str, object] | None]:
    """Return the answer's text and its object, None if the agent refuses; raises AgentUnreachableError."""
    answer = LocalClient(socket_to_ask(options.state), ANSWER_SECONDS).request("GET", "/status")
    status = json.loads(answer.body) if answer.status == 200 else None
    return answer.text, status if isinstance(status, dict) else None


def _watch(options: argparse.Namespace, wait: Wait) -> int:
    """Show each state until Ctrl-C, or until nobody reads it: the whole on a terminal, else a line for each change."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty() and not options.json
    before, is_read = "", True
    try:
        while is_read:
            now = _look(options, whole=on_terminal)
            if on_terminal:
                print(f"{_CLEAR}{now}", flush=True)
            elif now != before:
                stamp = "" if options.json else f"{time.strftime('%H:%M:%S')} "
                print(f"{stamp}{now}", flush=True)
            before = now
            is_read = wait(options.interval)
    except KeyboardInterrupt:
        pass
    return EX_OK


def _look(options: argparse.Namespace, *, whole: bool) -> str:
    try:
        text, status = _ask(options)
    except AgentUnreachableError as error:
        cause, remedy = explain_silence(error, options.state)
        text, status = f"{say(cause)}\n    → {say(remedy)}", None
        if options.json:
            return json.dumps({"error": cause.en})
    if status is None or options.json:
        return text if whole or options.json else _one_line(text)
    return render(status) if whole else _one_line(headline(status))


def _one_line(text: str) -> str:
    return " ".join(text.split())
