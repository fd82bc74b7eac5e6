"""What a database says that cannot be opened or written, and what to do about it.

A PostgreSQL's driver's texts are matched, as they come before there is a code: where the server speaks another language, its
own text stands alone.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError, StoreFaultError
from staging.store import engine, room
from staging.store.engine import Trouble
from staging.store.place import log_of

_OPTION = "--database"
# Parts of the text; what to do, in Chinese and English. The first that fits counts.
_REMEDIES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("authentication failed", "no password supplied", 'FATAL: role "', "no pg_hba.conf entry"),
        f"请在 {_OPTION} 里写对用户名和密码，并让 pg_hba.conf 允许它",
        f"give the right user and password in {_OPTION}, and let pg_hba.conf admit it",
    ),
    (
        ('FATAL: database "',),
        f"请先用 createdb 建好这个数据库，或在 {_OPTION} 里写另一个",
        f"make that database first, with createdb, or name another one in {_OPTION}",
    ),
    (
        ("permission denied",),
        "这个用户须是数据库的所有者：ALTER DATABASE 数据库 OWNER TO 用户",
        "its user must own the database: ALTER DATABASE name OWNER TO user",
    ),
    (
        ("No space left on device", "could not extend file"),
        "PostgreSQL 的磁盘满了，什么都没有改：请腾出空间再执行一次",
        "PostgreSQL's disk is full, and nothing was changed: free space there and repeat it",
    ),
    (
        ("server closed the connection", "terminating connection", "the database system is"),
        "PostgreSQL 中途停了，没有写完的都不算：请启动它再执行一次",
        "PostgreSQL ended meanwhile, and nothing is half written: start it and repeat this",
    ),
    (
        ("Is the server running", "could not translate host name", "timeout expired"),
        f"请启动 PostgreSQL，或在 {_OPTION} 里写对主机和端口",
        f"start PostgreSQL, or give its right host and port in {_OPTION}",
    ),
)


def unopened(shown: str, error: SQLAlchemyError) -> StagingError:
    """Return the error for the store ``shown`` that raised ``error``, with what to do where that is known."""
    text = engine.reason(error)
    for parts, zh, en in _REMEDIES:
        if any(part in text for part in parts):
            return StoreFaultError(f"{shown}：{text}；{zh}", f"{shown}: {text}; {en}")
    return StagingError(f"{shown}: {text}")


def without_room(url: URL, error: SQLAlchemyError) -> StoreFaultError | None:
    """Return the error for a SQLite file whose log cannot be read, as its disk has no room for the log's index; None: it is another.

    What was written last is in the log: without it the file would be opened as it was minutes or days ago.
    """
    path, text = Path(str(url.database)), engine.reason(error)
    log = log_of(path, "-wal")
    is_file = url.get_backend_name() == engine.SQLITE
    if not is_file or engine.trouble_of(error) is not Trouble.FULL or not log.exists():
        return None
    if room.is_read_only(path.parent):
        zh, en = (
            ("磁盘是只读的", "把磁盘挂载为可写"),
            ("its disk is read-only", "mount the disk for writing"),
        )
    else:
        zh, en = (
            (room.left_zh(path.parent), "腾出空间"),
            (room.left(path.parent), "free space on the disk"),
        )
    return StoreFaultError(
        f"{path}：{text}（{zh[0]}）；最后写入的在日志 {log.name} 里，没有空间建索引就读不了它，什么都没有丢：请{zh[1]}再启动",
        f"{path}: {text} ({en[0]}); what was written last is in its log {log.name}, which cannot be read without room for an "
        f"index, and nothing is lost: {en[1]} and start again",
    )
