"""The console's static files: read once at the start, served from memory, with gzip and ETags."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

INDEX: Final = "index.html"
# Below this size the gzip header outweighs the gain.
GZIP_MIN_BYTES = 512
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, the same with gzip if that is smaller, and an ETag of its content."""

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str


class Assets:
    """All files below ``static/``, by their path there."""

    def __init__(self) -> None:
        """Read the files from the package."""
        self._assets = dict(_walk(resources.files("staging.console") / "static", ""))

    def names(self) -> list[str]:
        """Return every path, sorted."""
        return sorted(self._assets)

    def get(self, name: str) -> Asset | None:
        """Return one file, or None; ``name`` cannot refer to a file outside the package."""
        return self._assets.get(name)

    def respond(self, request: Request, name: str) -> Response:
        """Answer with a file: 200, 304 if the browser has it, or 404."""
        asset = self.get(name)
        if asset is None:
            return Response("not found\n", 404, media_type="text/plain")
        # The browser revalidates each time: old and new modules must not mix after the cloud is
        # updated.
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if asset.etag in _tags(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if asset.packed is not None and _accepts_gzip(request):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, headers=headers, media_type=asset.media_type)
        return Response(asset.body, headers=headers, media_type=asset.media_type)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif (media_type := MEDIA_TYPES.get(entry.name.rpartition(".")[2])) is not None:
            found.append((prefix + entry.name, _asset(entry.read_bytes(), media_type)))
    return found


def _asset(body: bytes, media_type: str) -> Asset:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= GZIP_MIN_BYTES else None
    tag = hashlib.sha256(body).hexdigest()[:20]
    return Asset(body, packed, media_type, f'"{tag}"')


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _accepts_gzip(request: Request) -> bool:
    offered = request.headers.get("accept-encoding", "").split(",")
    return any(
        part.partition(";")[0].strip() == "gzip" and "q=0" not in part.replace("q=0.", "")
        for part in offered
    )
