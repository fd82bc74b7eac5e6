"""Schema versions: creates, upgrades, adopts or refuses a database before the store is used.

The steps are the revisions in ``staging/migrations/versions``, numbered 0001, 0002, …; Alembic runs
them. All steps of an upgrade are one transaction that holds the writer's lock: processes that start
at the same time take turns, and a crash in the middle leaves the old schema.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreFaultError
from staging.store import room
from staging.store.engine import SQLITE, migrating_engine, shown
from staging.store.models import Base

MIGRATIONS = Path(__file__).parents[1] / "migrations"
VERSION_TABLE = "alembic_version"
# Tables that an error names.
NAMED = 5
# Databases from before the revisions have exactly the tables of this one.
FIRST = "0001"
FIRST_TABLES = frozenset({
    "access_tokens", "accounts", "app_products", "apps", "batches", "bindings", "devices",
    "os_versions", "ota_events", "ota_tasks", "packages", "products", "reports", "strategies",
    "used_nonces",
})  # fmt: skip


def revisions() -> list[str]:
    """Return this program's revisions, in order.

    They are read from the file names: Alembic takes longer to load than a command to run, so it is
    only imported when there is something to do.
    """
    return sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def bring_up_to_date(reader: Engine, url: URL) -> None:
    """Create the tables, or upgrade them to this program's revision.

    Raises:
        StoreFaultError: the schema is newer than this program, or of another program.
        SQLAlchemyError: the database cannot be used.
    """
    with reader.connect() as connection:
        if version(connection) == revisions()[-1]:
            _check_tables(connection, url)
            return
    engine = migrating_engine(url)
    try:
        with engine.begin() as connection:
            _upgrade(connection, url)
    finally:
        engine.dispose()


def check_current(reader: Engine, url: URL) -> None:
    """Refuse a database that must be upgraded first, on a disk that has no room for that.

    Raises:
        StoreFaultError: its schema is not this program's.
    """
    with reader.connect() as connection:
        found = version(connection)
    if found != revisions()[-1]:
        known = revisions()[-1]
        is_read_only = room.is_read_only(Path(shown(url)).parent)
        why, remedy = (
            ("磁盘是只读的", "请把它挂载为可写") if is_read_only else ("磁盘满了", "请腾出空间")
        )
        to_do = "mount it for writing" if is_read_only else "free space on the disk"
        raise StoreFaultError(
            f"{shown(url)}：写不了：{why}，而结构版本是 {found or '（没有）'}，应为 {known}；{remedy}后再启动",
            f"{shown(url)}: cannot be written: {room.cause(Path(shown(url)).parent)}, and its schema is "
            f"{found or 'missing'}, expected {known}; {to_do} and start again",
        )


def version(connection: Connection) -> str | None:
    """Return a database's revision, or None if no revision was applied."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  # a constant
    return None if found is None else str(found)


def _upgrade(connection: Connection, url: URL) -> None:
    # Imported here for the reason given in `revisions`.
    from alembic import command  # noqa: PLC0415

    from staging.migrations.config import alembic_config  # noqa: PLC0415

    found = version(connection)
    config = alembic_config(connection)
    names = set(inspect(connection).get_table_names())
    # A database of a PostgreSQL may have tables of its extensions.
    check_known(
        shown(url), names if connection.dialect.name == SQLITE else FIRST_TABLES & names, found
    )
    if found is None and names >= FIRST_TABLES:
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
    _check_foreign_keys(connection)


def check_known(shown: str, names: AbstractSet[str], found: str | None) -> None:
    """Refuse a database by its tables and its revision, None if no revision was applied.

    Raises:
        StoreFaultError: it is another program's, of a newer one of ours, or was damaged.
    """
    if found is None and names and names != FIRST_TABLES:
        some = ", ".join(sorted(names)[:NAMED])
        raise StoreFaultError(
            f"{shown}：有 {some}，没有 {VERSION_TABLE}：不是 story-cloud 的数据库，应为空的；"
            "原来是的话，请用 `story-cloud restore FILE` 恢复备份",
            f"{shown}: has {some} and no {VERSION_TABLE}: not a database of story-cloud, expected an empty one; "
            "if it was one, put a backup back with `story-cloud restore FILE`",
        )
    if found is not None and found not in revisions():
        known = revisions()[-1]
        raise StoreFaultError(
            f"{shown}：结构版本是 {found}，本程序只认到 {known}；请用更新的程序，或用之前的备份",
            f"{shown}: its schema is {found}, this program knows up to {known}; "
            "use the newer program, or a copy of the data from before it",
        )


def _check_tables(connection: Connection, url: URL) -> None:
    """Refuse a database of this revision that lacks tables: every request would fail, and nobody would know why."""
    missing = sorted(set(Base.metadata.tables) - set(inspect(connection).get_table_names()))
    if missing:
        names = ", ".join(missing[:NAMED])
        raise StoreFaultError(
            f"{shown(url)}：缺少表 {names}；请用 `story-cloud restore FILE` 恢复备份",
            f"{shown(url)}: lacks the table {names}; put a backup back with `story-cloud restore FILE`",
        )


def _check_foreign_keys(connection: Connection) -> None:
    """Refuse a migration that left dangling references; PostgreSQL enforces foreign keys itself."""
    if connection.dialect.name != SQLITE:
        return
    dangling = connection.execute(text("PRAGMA foreign_key_check")).first()
    if dangling is not None:
        raise SQLAlchemyError(f"a row of {dangling[0]} refers to a missing row of {dangling[2]}")
