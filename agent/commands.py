"""The commands that send requests to the running agent: status, get, set, say, update."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.parse

from agent.cli import EX_FAILED, EX_OK
from agent.local.client import SOCKET_NAME, AgentUnreachableError, LocalAnswer, LocalClient
from ota.order.states import State
from wire.errors import show
from wire.ota import ORDER_PATH

HTTP_OK, HTTP_CONFLICT = 200, 409


def ask(options: argparse.Namespace) -> int:
    """Send one command to the agent, print its answer and return the exit code."""
    client = LocalClient(options.state / SOCKET_NAME)
    try:
        answer = _send(client, options)
    except AgentUnreachableError as error:
        print(f"story-agent: {error}", file=sys.stderr)
        return EX_FAILED
    except OSError as error:
        print(f"story-agent: {error.filename}: {error.strerror}", file=sys.stderr)
        return EX_FAILED
    if answer.status >= 300:
        print(f"story-agent: {answer.text}", file=sys.stderr)
        return EX_FAILED
    text = _render(options, answer)
    if text:
        print(text)
    return EX_OK


def _send(client: LocalClient, options: argparse.Namespace) -> LocalAnswer:
    match options.command:
        case "status":
            return client.request("GET", "/status")
        case "get":
            return client.request("GET", _target(options.name))
        case "set":
            return client.request("PUT", _target(options.name), os.fsencode(options.value))
        case "update":
            return _update(client, options.action)
        case _:
            return client.request("POST", "/voice", options.file.read_bytes())


def _update(client: LocalClient, action: str) -> LocalAnswer:
    answer = client.request("GET", "/status")
    if answer.status != HTTP_OK or action == "show":
        return answer
    update = json.loads(answer.body)["update"]
    if update["transaction"] is None:
        return LocalAnswer(HTTP_CONFLICT, b"no update was ever ordered")
    if State(update["state"]).is_final:
        name, state = show(update["transaction"]), update["state"]
        return LocalAnswer(HTTP_CONFLICT, f"no update is under way: {name} is {state}".encode())
    # The transaction is sent so that an update that has begun meanwhile is not cancelled.
    query = urllib.parse.urlencode({"transaction": update["transaction"]})
    return client.request("DELETE", f"{_target('/'.join(ORDER_PATH))}?{query}")


def _target(name: str) -> str:
    return "/" + urllib.parse.quote(os.fsencode(name), safe="")


def _render(options: argparse.Namespace, answer: LocalAnswer) -> str:
    if options.command == "status" and not options.json:
        return "\n".join(_lines(json.loads(answer.body)))
    if options.command == "update" and options.action == "show":
        update = json.loads(answer.body)["update"]
        return json.dumps(update) if options.json else "\n".join(_lines(update))
    if options.command == "update" and options.json:
        return json.dumps({"answer": answer.text})
    if options.command == "say":
        sent = json.loads(answer.body)
        cut = ", cut at the limit" if sent["cut"] else ""
        return f"utterance {sent['id']}: {sent['segments']} segments, {sent['seconds']} s{cut}"
    return answer.text


def _lines(status: dict[str, object], indent: str = "") -> list[str]:
    """Render nested objects as indented ``name: value`` lines, without null values."""
    lines: list[str] = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        elif value is not None:
            lines.append(f"{indent}{name}: {value}")
    return lines
