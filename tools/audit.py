"""Compares the versions of all Python packages with known advisories: ``make audit``.

    python -m tools.audit [--advisories FILE] [--service URL] [--versions FILE]

Asks the database of open source vulnerabilities (OSV, https://osv.dev, which has PyPI's advisories). Without a network it
reads the same from a file: one advisory as JSON, a list of them, a folder of such files, or a ZIP of them as OSV gives it for
a whole ecosystem. Exit code 0: none is known; 1: some are, and are printed; 2: it could not be found out.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ROOT / "tools" / "constraints.txt"
SERVICE = "https://api.osv.dev"
# The same as a file: https://google.github.io/osv.dev/data/#data-dumps
DUMP = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
ECOSYSTEM = "PyPI"
DEADLINE = 30.0
ANSWER_LIMIT = 32 * 2**20
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")

Pins = Mapping[str, str]
Advisory = Mapping[str, Any]


class UnknownError(Exception):
    """Nobody knows whether there are advisories; the message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Found:
    """An advisory about a version that is used."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a line."""
        names = ", ".join((self.id, *self.aliases))
        mended = f"; mended in {', '.join(self.fixed)}" if self.fixed else "; not mended yet"
        return f"{self.package} {self.version}: {names}: {self.summary or 'no summary'}{mended}"


def pins(text: str) -> dict[str, str]:
    """Return the versions in a file of pip's, by the packages' names as PyPI compares them."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = (_PIN.match(line) for line in lines)
    return {str(canonicalize_name(each[1])): each[2] for each in found if each}


def matches(used: Pins, advisories: Iterable[Advisory]) -> list[Found]:
    """Return what of ``advisories`` (OSV's schema) is about a version that is used."""
    found = []
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = str(canonicalize_name(str(package.get("name", ""))))
            is_ours = package.get("ecosystem") == ECOSYSTEM and name in used
            if is_ours and _is_affected(used[name], affected):
                found.append(_found(name, used[name], advisory, affected))
    return sorted(set(found), key=lambda each: (each.package, each.id))


def _found(name: str, version: str, advisory: Advisory, affected: Mapping[str, Any]) -> Found:
    events = [event for each in affected.get("ranges", ()) for event in each.get("events", ())]
    fixed = tuple(dict.fromkeys(str(event["fixed"]) for event in events if "fixed" in event))
    aliases = tuple(map(str, advisory.get("aliases", ())))
    return Found(
        name, version, str(advisory.get("id")), aliases, str(advisory.get("summary", "")), fixed
    )


def _is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    if any(_same(version, str(each)) for each in affected.get("versions", ())):
        return True
    ranges = (each for each in affected.get("ranges", ()) if each.get("type") != "GIT")
    return any(_is_in(version, each.get("events", ())) for each in ranges)


def _is_in(version: str, events: Sequence[Mapping[str, str]]) -> bool:
    """Return whether a version is in a range: after the last ``introduced`` there is no end at or before it."""
    is_in, ours = False, _order(version)
    for event in sorted(events, key=_place):
        kind, told = next(iter(event.items()))
        if kind == "introduced":
            is_in = is_in or ours >= _order(told)
        elif kind in {"fixed", "last_affected"}:
            is_over = ours >= _order(told) if kind == "fixed" else ours > _order(told)
            is_in = is_in and not is_over
    return is_in


def _place(event: Mapping[str, str]) -> tuple[Version, bool]:
    kind, told = next(iter(event.items()))
    return _order(told), kind != "introduced"


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion as error:
        raise UnknownError(f"version: got {version!r}, expected one as PyPI has them") from error


def _same(one: str, other: str) -> bool:
    try:
        return one == other or Version(one) == Version(other)
    except InvalidVersion:  # of long ago, which nobody uses
        return False


def read(path: Path) -> list[Advisory]:
    """Return the advisories of a file, a folder or a ZIP; raises UnknownError, also if there are none."""
    found = [each for name, data in _files(path) for each in _parse(name, data)]
    if not found:
        raise UnknownError(f"{path}: has no advisory; expected OSV's JSON, such as {DUMP}")
    return found


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if path.is_dir():
            for each in sorted(path.rglob("*.json")):
                yield str(each), each.read_bytes()
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in sorted(name for name in archive.namelist() if name.endswith(".json")):
                    yield f"{path}: {name}", archive.read(name)
        else:
            yield str(path), path.read_bytes()
    except (OSError, zipfile.BadZipFile) as error:
        raise UnknownError(f"{path}: cannot be read: {error}") from error


def _parse(name: str, data: bytes) -> Sequence[Advisory]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise UnknownError(f"{name}: is no JSON: {error}") from error
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) and "id" in each for each in listed):
        raise UnknownError(f"{name}: got something else than advisories of OSV, which have an id")
    return listed


def ask(used: Pins, service: str) -> list[Advisory]:
    """Return the service's advisories about these versions; raises UnknownError."""
    queries = [
        {"package": {"name": name, "ecosystem": ECOSYSTEM}, "version": version}
        for name, version in used.items()
    ]
    told = _json(f"{service}/v1/querybatch", json.dumps({"queries": queries}).encode())
    results = told.get("results") if isinstance(told, dict) else None
    if not isinstance(results, list) or len(results) != len(queries):
        raise UnknownError(
            f"{service}: its answer has not the {len(queries)} results that were asked for"
        )
    if any((each or {}).get("next_page_token") for each in results):
        raise UnknownError(
            f"{service}: a package has more advisories than one answer; use a file of {DUMP}"
        )
    ids = {str(each["id"]) for result in results for each in (result or {}).get("vulns", ())}
    return [_json(f"{service}/v1/vulns/{each}") for each in sorted(ids)]


def _json(address: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310  # ours, or as given
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310
            return json.loads(answer.read(ANSWER_LIMIT))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UnknownError(
            f"{address}: {reason}; without a network, fetch {DUMP} elsewhere and give it as ADVISORIES=FILE"
        ) from error


def main(words: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--advisories", type=Path, metavar="FILE", help="a file, folder or ZIP of OSV's JSON"
    )
    parser.add_argument("--service", default=SERVICE, metavar="URL")
    parser.add_argument("--versions", type=Path, default=VERSIONS, metavar="FILE")
    options = parser.parse_args(words)
    try:
        used = pins(options.versions.read_text("utf-8"))
        if not used:
            raise UnknownError(f"{options.versions}: has no line such as name==1.0")
        if options.advisories is None:
            advisories, source = ask(used, options.service), options.service
        else:
            advisories, source = read(options.advisories), f"{options.advisories}"
        found = matches(used, advisories)
    except (UnknownError, OSError) as error:
        print(f"make audit: nothing was found out: {error}", file=sys.stderr)
        return 2
    for each in found:
        print(each)
    print(f"{len(used)} packages, {len(found)} advisories about their versions ({source})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
