"""Faults made on purpose: listed, begun and ended, at a server that runs with ``--bench-faults``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from staging.bench.faults import KINDS, Where, kind_of, parse_words
from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of, group, read_secret

_WHERE = {
    Where.LINK: "the link, for any machine",
    Where.PACKAGE: "the download of an update, for any machine",
    Where.CLOUD: "what the cloud says, for any machine",
    Where.MACHINE: "the machine, with story-agent bench-helper beside its agent",
}


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``fault``."""
    fault = group(commands, "fault", common, "make faults on purpose, on a bench")
    listed = command(fault, "list", common, _list, "show what there is, and what a device has now")
    listed.add_argument("uuid", metavar="UUID", nargs="?")
    begin = command(fault, "set", common, _set, "give a device a fault, for some seconds")
    begin.add_argument("uuid", metavar="UUID")
    begin.add_argument(
        "name", metavar="FAULT", choices=list(KINDS), help="see story-cloud fault list"
    )
    begin.add_argument(
        "values", metavar="NAME=VALUE", nargs="*", help="such as seconds=30 way=to_cloud"
    )
    clear = command(fault, "clear", common, _clear, "end a device's fault, or all of them")
    clear.add_argument("uuid", metavar="UUID")
    clear.add_argument("name", metavar="FAULT", nargs="?", choices=list(KINDS))
    helper = command(
        fault, "helper", common, _helper, "tell where a machine's bench helper listens"
    )
    helper.add_argument("uuid", metavar="UUID")
    helper.add_argument(
        "address", metavar="IP:PORT", help="of loopback; ssh -L brings one from elsewhere"
    )
    helper.add_argument("--token-file", required=True, type=Path, metavar="FILE")


def _ask(options: argparse.Namespace, work: str, /, **wanted: object) -> dict[str, Any]:
    told = {"uuid": options.uuid} if options.uuid else {}
    who = {"user": system_user(os.environ)}
    outcome = ask(data_of(options).root, f"fault.{work}", told | who | wanted)
    options.server_did = True
    return outcome


def _list(options: argparse.Namespace) -> Result:
    value = _ask(options, "list")
    if options.uuid:
        return Result(value, _faults(value))
    lines: list[str] = []
    for where, title in _WHERE.items():
        lines.append(f"{title}:")
        lines += [f"  {_shown(name)}" for name, kind in KINDS.items() if kind.where is where]
    for uuid, faults in value["devices"].items():
        lines += [f"{uuid} now: {_line(fault)}" for fault in faults]
    if not value["on"]:
        lines.append("the server makes none: start it with --bench-faults")
    return Result(value, lines)


def _shown(name: str) -> str:
    kind = kind_of(name)
    values = " ".join(f"{value.name}={value.default}" for value in kind.all_values)
    return f"{name:16} {kind.text}" + (f" [{values}]" if values else "")


def _set(options: argparse.Namespace) -> Result:
    values = kind_of(options.name).parse(parse_words(options.values))
    value = _ask(options, "set", name=options.name, values=values)
    told = [value["told"]] if value["told"] else []
    return Result(value, [*told, *(_faults(value) if KINDS[options.name].is_lasting else [])])


def _clear(options: argparse.Namespace) -> Result:
    value = _ask(options, "clear", **({"name": options.name} if options.name else {}))
    ended = ", ".join(value["ended"]) or "nothing: it had none"
    return Result(value, [f"ended: {ended}"])


def _helper(options: argparse.Namespace) -> Result:
    token = read_secret("token", options.token_file).strip()
    value = _ask(options, "helper", address=options.address, token=token)
    return Result(value, [f"{options.uuid}: its bench helper is at {options.address}"])


def _faults(value: dict[str, Any]) -> list[str]:
    if not value["on"]:
        return ["the server makes none: start it with --bench-faults"]
    return [_line(fault) for fault in value["faults"]] or ["no faults"]


def _line(fault: dict[str, Any]) -> str:
    values = " ".join(
        f"{name}={each}" for name, each in fault["values"].items() if name != "seconds"
    )
    return f"{fault['name']} {values}".rstrip() + f", {fault['left']} s left"
