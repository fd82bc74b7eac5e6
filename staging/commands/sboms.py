"""Commands on the lists of parts (SBOM): ``sbom add``, ``list``, ``show``, ``devices``."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from base.files import read_given
from staging.commands.common import Commands, Result, command, group, store
from staging.errors import NotFoundError
from staging.releases.parts import SBOM_LIMIT, canonical, read_parts
from staging.releases.uploads import keep_parts
from staging.store import sboms
from staging.times import iso, now_ms

# How many missing lists are named in a line.
_NAMED = 3


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``sbom``."""
    subject = group(
        commands, "sbom", common, "of which parts releases are, and which devices run one"
    )
    add = command(subject, "add", common, _add, "keep a list of parts, such as a base install's")
    add.add_argument("file", type=Path, metavar="FILE", help="CycloneDX, as JSON")
    command(subject, "list", common, _list, "list the lists")
    show = command(subject, "show", common, _show, "print a list as it was added")
    show.add_argument("digest", metavar="SHA256", help="its digest, or how that begins")
    devices = command(subject, "devices", common, _devices, "which devices run a part?")
    devices.add_argument("part", metavar="NAME", help="such as urllib3")
    devices.add_argument("part_version", nargs="?", metavar="VERSION", help="default: any")


def _add(options: argparse.Namespace) -> Result:
    parts = read_parts(read_given(options.file, SBOM_LIMIT))
    with store(options) as database:
        is_new = asyncio.run(keep_parts(database, parts, now_ms()))
    value = {
        "sha256": parts.sha256,
        "name": parts.name,
        "version": parts.version,
        "parts": len(parts.parts),
        "new": is_new,
    }
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [
            {
                "sha256": sbom.sha256,
                "name": sbom.name,
                "version": sbom.version,
                "parts": parts,
                "devices": devices,
                "createTime": iso(sbom.create_time),
            }
            for sbom, parts, devices in database.call(sboms.every)
        ]
    lines = [
        f"{r['sha256']} {r['name']} {r['version']}: {r['parts']} parts, {r['devices']} devices"
        for r in rows
    ]
    return Result({"sboms": rows}, lines or ["no lists of parts"])


def _show(options: argparse.Namespace) -> Result:
    with store(options) as database:
        document = database.call(sboms.named, options.digest).document
    # The very bytes: their digest is what devices report.
    return Result(json.loads(document), [document.rstrip("\n")])


def _devices(options: argparse.Namespace) -> Result:
    name, version = canonical(options.part), options.part_version
    with store(options) as database:
        answer = database.call(sboms.devices_with, name, version)
        if not answer.matches and name not in (like := database.call(sboms.similar, name)):
            hint = f"; perhaps {', '.join(like)}" if like else ""
            raise NotFoundError(f"part {name}: no list of parts has it{hint}")
    value = {
        "part": name,
        "version": version,
        "devices": [asdict(match) for match in answer.matches],
        "total": answer.devices,
        "unknown": answer.unknown,
        "missing": list(answer.missing),
    }
    lines = [
        f"{it.uuid} runs {it.running}: {name} {it.version} ({it.basis})" for it in answer.matches
    ]
    return Result(value, [*lines, _summary(answer)])


def _summary(answer: sboms.Answer) -> str:
    """Return the last line: how many, and of how many nothing is known, with the remedy."""
    count = len({match.uuid for match in answer.matches})
    text = f"{count} of {answer.devices} devices"
    if not answer.unknown:
        return text
    text += f"; of {answer.unknown} more it is not known"
    if not answer.missing:
        return f"{text}: they report no list of parts, and their version has none"
    named = ", ".join(digest[:12] for digest in answer.missing[:_NAMED])
    more = " and others" if len(answer.missing) > _NAMED else ""
    return f"{text}: add the lists {named}{more} (story-cloud sbom add FILE.cdx.json)"
