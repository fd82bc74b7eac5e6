"""The archive itself: files in memory, bounded, as one tar.gz. No I/O."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

# Bytes before compression, which then is surely the archive's bound too.
TOTAL_MAX = 5 * 1000 * 1000
CUT = b"[the beginning was cut off]\n"


def bounded(files: Mapping[str, bytes], total: int = TOTAL_MAX) -> dict[str, bytes]:
    """Return the files within ``total`` bytes: of the largest ones the ends are kept, where the newest lines are."""
    rest, left = total, len(files)
    kept: dict[str, bytes] = {}
    for name, content in sorted(files.items(), key=lambda file: len(file[1])):
        fair = rest // left
        whole = content if len(content) <= fair else (CUT + content[-(fair - len(CUT)) :])[:fair]
        kept[name] = whole
        rest, left = rest - len(whole), left - 1
    return {name: kept[name] for name in files}


def pack(folder: str, files: Mapping[str, bytes], now: float) -> bytes:
    """Return a tar.gz with the files in one folder; only their owner may read what is unpacked."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=int(now)) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mtime, info.mode = len(content), int(now), 0o600
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
