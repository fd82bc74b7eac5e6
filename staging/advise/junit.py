"""The report as JUnit XML, which build servers read: a failure for each fail, a warning in the output, skipped where not applicable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr


def render(report: Mapping[str, Any], language: str) -> bytes:
    """Return the XML; ``language`` is zh or en."""
    suites: dict[str, list[Mapping[str, Any]]] = {}
    for check in report["checks"]:
        suites.setdefault(check["suite"], []).append(check)
    device = report["device"]
    name = f"advise {device['uuid']} {device['firmware']}".strip()
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites name={quoteattr(name)}>"]
    for suite, checks in suites.items():
        lines += _suite(suite, checks, language)
    lines.append("</testsuites>")
    return "\n".join(map(_printable, lines)).encode() + b"\n"


def _suite(suite: str, checks: list[Mapping[str, Any]], language: str) -> list[str]:
    failures = sum(check["verdict"] == "fail" for check in checks)
    skipped = sum(check["verdict"] == "not applicable" for check in checks)
    head = f'tests="{len(checks)}" failures="{failures}" errors="0" skipped="{skipped}"'
    lines = [f"  <testsuite name={quoteattr(suite)} {head}>"]
    for check in checks:
        title = quoteattr(f"{check['id']}: {check['title'][language]}")
        lines.append(f"    <testcase classname={quoteattr(suite)} name={title}>")
        lines.append(_body(check, language))
        lines.append("    </testcase>")
    return [*lines, "  </testsuite>"]


def _body(check: Mapping[str, Any], language: str) -> str:
    seen = check["seen"][language]
    match check["verdict"]:
        case "fail":
            text = f"{seen}\n{check['asks']}\n{check['change'][language]}"
            return f"      <failure message={quoteattr(seen)}>{escape(text)}</failure>"
        case "not applicable":
            return f"      <skipped message={quoteattr(seen)}/>"
        case verdict:
            return f"      <system-out>{escape(f'{verdict}: {seen}')}</system-out>"


def _printable(text: str) -> str:
    """XML has no control characters, and a device may have said some."""
    return "".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )
