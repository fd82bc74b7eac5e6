"""The report as one HTML file that loads nothing: both languages, switched without a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

_GRADES = {
    "pass": ("通过", "pass", "✓"), "warn": ("提醒", "warn", "!"),
    "fail": ("不通过", "fail", "✗"), "not applicable": ("不适用", "not applicable", "–"),
}  # fmt: skip
_SUITES = {
    "link": ("连接", "Link"), "frames": ("帧与消息", "Frames"), "control": ("控制", "Control"),
    "reports": ("上报", "Reports"), "tls": ("TLS", "TLS"), "voice": ("语音", "Voice"),
    "update": ("升级", "Update"), "faults": ("机器本身", "The machine itself"),
}  # fmt: skip
_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}
#zh:checked~main .en,#en:checked~main .zh{display:none}
label{margin-right:1rem}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #8884;padding:.3rem .5rem;text-align:left;vertical-align:top}
td:first-child{white-space:nowrap}.pass{color:#177a36}.warn{color:#8a5a00}.fail{color:#b3261e;font-weight:600}
@media(prefers-color-scheme:dark){.pass{color:#6fd08c}.warn{color:#f0b849}.fail{color:#ff8a80}}
.asks,.change{font-size:.87em;opacity:.85}code,pre{font-size:.8em;overflow-wrap:anywhere;white-space:pre-wrap}
"""


def render(report: Mapping[str, Any], language: str) -> bytes:
    """Return the page; ``language``, zh or en, is the one that it opens with."""
    chosen = {"zh": "", "en": ""} | {language: " checked"}
    device = report["device"]
    parts = [
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(device['uuid'])} {escape(device['firmware'])}</title><style>{_STYLE}</style>",
        f'<input type="radio" name="l" id="zh"{chosen["zh"]}><label for="zh">中文</label>',
        f'<input type="radio" name="l" id="en"{chosen["en"]}><label for="en">English</label>',
        "<main>", _head(report), *_suites(report["checks"]), _cases(report["cases"]), "</main></html>",
    ]  # fmt: skip
    return "\n".join(parts).encode()


def _two(zh: str, en: str) -> str:
    return f'<span class="zh">{escape(zh)}</span><span class="en" lang="en">{escape(en)}</span>'


def _head(report: Mapping[str, Any]) -> str:
    device, counts = report["device"], report["counts"]
    at = datetime.fromtimestamp(report["startedMs"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    told = " · ".join(
        f'<span class="{grade.replace(" ", "-")}">{mark} {counts[grade]} {_two(zh, en)}</span>'
        for grade, (zh, en, mark) in _GRADES.items()
    )
    rows = (
        (_two("设备", "Device"), device["uuid"]),
        (_two("固件", "Firmware"), device["firmware"] or "?"),
        (_two("产品", "Product"), device["product"] or "?"),
        (_two("链路", "Link"), device["link"]),
        (_two("范围", "Suite"), report["suite"]),
        (_two("种子", "Seed"), str(report["seed"])),
        (_two("时间", "When"), f"{at}, {report['seconds']} s"),
    )
    body = "".join(f"<tr><th>{name}<td>{escape(str(value))}" for name, value in rows)
    title = _two("故事机检查报告", "A story machine's report")
    return f"<h1>{title}</h1><p>{told}</p><table>{body}</table>"


def _suites(checks: Iterable[Mapping[str, Any]]) -> list[str]:
    found: dict[str, list[str]] = {}
    for check in checks:
        found.setdefault(check["suite"], []).append(_row(check))
    made = []
    for suite, rows in found.items():
        name = _two(*_SUITES.get(suite, (suite, suite)))
        made.append(f"<h2>{name}</h2><table>{''.join(rows)}</table>")
    return made


def _row(check: Mapping[str, Any]) -> str:
    zh, en, mark = _GRADES[check["verdict"]]
    change = ""
    if check["verdict"] in {"warn", "fail"}:
        told = _two(f"要改：{check['change']['zh']}", f"To change: {check['change']['en']}")
        change = f'<div class="change">{told}</div>'
    return (
        f'<tr id="{escape(check["id"])}"><td class="{check["verdict"].replace(" ", "-")}">{mark} {_two(zh, en)}'
        f"<td>{_two(check['title']['zh'], check['title']['en'])}"
        f'<div class="asks"><code>{escape(check["id"])}</code> {escape(check["asks"])}</div>'
        f"<td>{_two(check['seen']['zh'], check['seen']['en'])}{change}"
        f'<div class="asks"><a href="#case-{escape(check["case"])}">{escape(check["case"])}</a></div>'
    )


def _cases(cases: Iterable[Mapping[str, Any]]) -> str:
    made = [f"<h2>{_two('记录', 'Records')}</h2>"]
    for case in cases:
        lines = [
            f"{probe['seconds']:8.3f} s  {probe['outcome']:10} {probe['name']}"
            for probe in case["probes"]
        ]
        frames = [
            f"{frame['at']:8.3f} {frame['way']} {frame['says']}\n           {frame['hex']}"
            for frame in case["frames"]
        ]
        skipped = f"<p>{escape(case['skipped'])}</p>" if case["skipped"] else ""
        made.append(
            f'<details id="case-{escape(case["name"])}"><summary>{escape(case["name"])} '
            f"({case['seconds']} s)</summary>{skipped}<pre>{escape(chr(10).join(lines))}</pre>"
            f"<pre>{escape(chr(10).join(frames))}</pre></details>"
        )
    return "".join(made)
