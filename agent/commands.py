"""The commands that talk to the running agent: status, get, set, say."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.parse

from agent.cli import EX_FAILED, EX_OK
from agent.client import SOCKET_NAME, AgentUnreachableError, LocalAnswer, LocalClient


def ask(options: argparse.Namespace) -> int:
    """Send one command to the agent, print its answer, return the exit code."""
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
        case _:
            return client.request("POST", "/voice", options.file.read_bytes())


def _target(name: str) -> str:
    return "/" + urllib.parse.quote(os.fsencode(name), safe="")


def _render(options: argparse.Namespace, answer: LocalAnswer) -> str:
    if options.command == "status" and not options.json:
        return "\n".join(_lines(json.loads(answer.body)))
    if options.command == "say":
        sent = json.loads(answer.body)
        cut = ", cut at the limit" if sent["cut"] else ""
        return f"utterance {sent['id']}: {sent['segments']} segments, {sent['seconds']} s{cut}"
    return answer.text


def _lines(status: dict[str, object], indent: str = "") -> list[str]:
    """Render nested objects as indented ``name: value`` lines; what is null is left out."""
    lines: list[str] = []
    for name, value in status.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        elif value is not None:
            lines.append(f"{indent}{name}: {value}")
    return lines
