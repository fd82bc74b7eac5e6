"""How much room the store takes on its disk, and what that disk has left."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from staging.store.engine import SQLITE


def left(folder: Path) -> str:
    """Return what a folder's disk has left, for a message: bytes, or files where those are used up. Raises OSError."""
    disk = os.statvfs(folder)
    if disk.f_files and not disk.f_favail:  # some file systems do not count files
        return f"it takes no more files: 0 of {disk.f_files:,} inodes are free"
    return f"{disk.f_bavail * disk.f_frsize:,} bytes are free"


def left_zh(folder: Path) -> str:
    """Return the same in Chinese. Raises OSError."""
    disk = os.statvfs(folder)
    if disk.f_files and not disk.f_favail:
        return f"再也放不下文件：{disk.f_files:,} 个 inode 都用完了"
    return f"还剩 {disk.f_bavail * disk.f_frsize:,} 字节"


def cause(folder: Path) -> str:
    """Return why a folder's disk takes nothing: it is full, or mounted read-only, as a system does with one that fails."""
    return "its disk is read-only" if is_read_only(folder) else "its disk is full"


def is_read_only(folder: Path) -> bool:
    """Return whether a folder's disk is mounted read-only."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:  # a PostgreSQL has its disk elsewhere
        return False


def used(session: Session) -> int:
    """Return the bytes of the whole database, with pages that are free to be used again."""
    connection = session.connection()
    if connection.dialect.name == SQLITE:
        pages = connection.scalar(text("PRAGMA page_count"))
        return int(pages or 0) * int(connection.scalar(text("PRAGMA page_size")) or 0)
    return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
