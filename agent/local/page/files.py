"""The device page's files: HTML, style and scripts of ours, read once, without a build step."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

from agent.local.web import Request, Response
from agent.words import EN, ZH
from wire.codes import Code

INDEX = "index.html"
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# Nothing of another origin, no inline script or style, in no other page's frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LANGUAGE = b'<html lang="zh">'


class _File(NamedTuple):
    body: bytes
    media_type: str


class Files:
    """The files of ``static/``."""

    def __init__(self) -> None:
        """Read them from the package."""
        self._files = {
            entry.name: _File(entry.read_bytes(), MEDIA_TYPES[entry.name.rpartition(".")[2]])
            for entry in (resources.files("agent.local.page") / "static").iterdir()
            if entry.name.rpartition(".")[2] in MEDIA_TYPES
        }

    def respond(self, request: Request, name: str) -> Response:
        """Answer with a file: 200, 304 if the browser has it, or 404."""
        found = self._files.get(name or INDEX)
        if found is None:
            return Response("not found\n", Code.NOT_FOUND.http_status, headers=HEADERS)
        body = found.body
        if found is self._files[INDEX]:
            language = choose_language(request.headers.get("accept-language", ""))
            body = body.replace(_LANGUAGE, f'<html lang="{language}">'.encode(), 1)
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        # Old and new files must not mix after an update.
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Language", **HEADERS}
        if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=found.media_type)


def choose_language(accepted: str) -> str:
    """Return ``zh`` or ``en`` for an ``Accept-Language`` (RFC 9110, section 12.5.4); Chinese without one."""
    best, language = 0.0, ZH
    for part in accepted.split(","):
        name, _, quality = part.strip().lower().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        tag = name.partition("-")[0]
        if tag in {ZH, EN} and best < weight <= 1:
            best, language = weight, tag
    return language
