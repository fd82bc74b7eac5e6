"""The schema's revisions: equal to the models, run by the first process, atomic.

Tests staging.migrations.env, staging.migrations.versions.0001_initial,
staging.migrations.versions.0002_whole_open_api,
staging.migrations.versions.0003_cancel_and_forced and
staging.migrations.versions.0004_report_numbers, staging.migrations.versions.0005_issued,
staging.migrations.versions.0006_sboms, staging.migrations.versions.0007_family,
staging.migrations.versions.0008_roles, staging.migrations.versions.0009_support_end,
staging.migrations.versions.0010_doors, staging.migrations.versions.0011_device_list,
staging.migrations.versions.0012_health, staging.migrations.versions.0013_rollouts,
staging.migrations.versions.0015_alarms, staging.migrations.versions.0016_webhooks,
staging.migrations.versions.0017_listening, staging.migrations.versions.0018_twins and
staging.migrations.versions.0019_untold too.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from staging.errors import StagingError
from staging.migrations.config import alembic_config
from staging.store import Database, accounts, audit, devices, history, ota, releases, schema
from staging.store import engine as engines
from staging.store.audit import Filter
from staging.store.models import Base
from tools import revision

BEFORE = Path(__file__).parent / "before_revisions.sql"
UUID = "01a800000072af"
COMMAND = (sys.executable, "-m", "staging.commands.cli")
# Seconds; only turns a hang into a failure.
DEADLINE = 150.0
OLD_ROWS = f"""
    INSERT INTO products VALUES (1, 'lamp', '{{}}', 1);
    INSERT INTO batches VALUES (1, 1, '0000');
    INSERT INTO os_versions VALUES (1, 1, '1.0');
    INSERT INTO devices (id, uuid, product_id, batch_id, os_version_id, token, version,
        bind_token_differs, name, status, create_time, update_time, last_report_ms)
    VALUES (1, '{UUID}', 1, 1, 1, 't', 1, false, '', 'ACTIVATED', 1, 1, 0)
"""


@contextmanager
def connected(where: Path | str) -> Iterator[Connection]:
    """Connect as the writer, without the store's own opening."""
    engine: Engine = engines.migrating_engine(engines.locate(where))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def fill_first_schema(where: Path | str) -> None:
    """Create the first revision's tables, with a device in them."""
    with connected(where) as connection:
        command.upgrade(alembic_config(connection), schema.FIRST)
        for statement in OLD_ROWS.split(";"):
            connection.execute(text(statement))


def columns(where: Path | str) -> dict[str, set[str]]:
    with connected(where) as connection:
        look = inspect(connection)
        return {
            table: {column["name"] for column in look.get_columns(table)}
            for table in look.get_table_names()
        }


def uuids(where: Path | str) -> list[str]:
    database = Database(where)
    try:
        return [view.device.uuid for view in database.call(devices.views)]
    finally:
        database.close()


def test_the_revisions_make_what_the_models_say(where: Path | str) -> None:
    Database(where).close()
    with connected(where) as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert found == [], "the models changed: python -m tools.revision 'what for', then correct it"


def test_files_are_named_by_their_revision_in_one_line(tmp_path: Path) -> None:
    with connected(tmp_path / "cloud.sqlite") as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
        numbers = [script.revision for script in scripts.walk_revisions()]
    assert schema.revisions() == numbers[::-1]
    assert numbers[-1] == schema.FIRST
    assert [int(number) for number in numbers[::-1]] == list(range(1, len(numbers) + 1))


def test_no_revision_is_written_when_there_is_nothing_to_do() -> None:
    assert revision.write("nothing") is None


def test_a_data_folder_from_before_the_revisions(tmp_path: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(BEFORE.read_text("utf-8"))
    old.close()
    database = Database(path)
    view = database.call(devices.view, UUID)
    assert view is not None
    assert view.os_version == "0.0.0.0"
    task = database.call(ota.latest, view.device.id)
    assert task is not None
    assert (task.task.status, task.version) == ("CREATED", "1.1")
    page = database.call(history.page, view.device.id, history.Query())
    assert [(entry.key, entry.value) for entry in page.entries] == [("volume", 8), ("volume", 7)]
    assert [version for _, version in database.call(releases.packages)] == ["1.1"]
    database.close()
    test_the_revisions_make_what_the_models_say(path)


OLD_ACCOUNTS = """
    INSERT INTO apps (id, name, type, apikey, secret, create_time) VALUES (1, 'a', 'web', 'k', 's', 1);
    INSERT INTO accounts (id, uuid, user_name, status, password, create_time) VALUES
        (1, '5_1', 'console', 'ENABLE', 'hash', 1), (2, '5_2', 'family', 'ENABLE', 'hash', 1),
        (3, '5_3', 'by token', 'ENABLE', NULL, 1);
    INSERT INTO access_tokens (digest, app_id, account_id, expire_time) VALUES ('d', 1, 2, 9)
"""


def test_accounts_of_before_the_roles_get_no_more_than_they_need(empty: Path | str) -> None:
    with connected(empty) as connection:
        command.upgrade(alembic_config(connection), "0007")
        for statement in OLD_ACCOUNTS.split(";"):
            connection.execute(text(statement))
    database = Database(empty)
    roles = {account.user_name: account.role for account in database.call(accounts.every)}
    assert roles == {"console": "tester", "family": "parent", "by token": "parent"}
    (entry,) = database.call(audit.page, Filter(), 9)
    assert (entry.source, entry.action, entry.target) == (
        "upgrade", "account.role", "console → tester",
    )  # fmt: skip
    assert entry.subject_id == 1
    database.close()


OLD_VALUES = """
    INSERT INTO os_versions (id, product_id, version) VALUES (2, 1, '1.10.2'), (3, 1, 'odd');
    INSERT INTO reports (device_id, ts, key, kind, value) VALUES
        (1, 1, 'power', 'REPORT', '80'), (1, 2, 'power', 'REPORT', '55'), (1, 3, 'power', 'RESOURCE', '7'),
        (1, 4, 'volume', 'REPORT', '"loud"'), (1, 5, 'play', 'REPORT', '"9"')
"""


def test_what_the_list_sorts_by_is_filled_from_what_is_stored(empty: Path | str) -> None:
    fill_first_schema(empty)
    with connected(empty) as connection:
        for statement in OLD_VALUES.split(";"):
            connection.execute(text(statement))
    Database(empty).close()
    with connected(empty) as connection:
        device = connection.execute(text("SELECT battery, volume FROM devices")).one()
        places = (
            connection.execute(text("SELECT place FROM os_versions ORDER BY id")).scalars().all()
        )
    assert tuple(device) == (55, None)
    assert places == ["0000000001", "0000000001.0000000010.0000000002", ""]


def test_tables_from_before_the_revisions_are_adopted(empty: Path | str) -> None:
    fill_first_schema(empty)
    with connected(empty) as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    assert uuids(empty) == [UUID]


def test_an_older_schema_is_brought_up_to_date_with_its_rows(empty: Path | str) -> None:
    fill_first_schema(empty)
    assert uuids(empty) == [UUID]
    test_the_revisions_make_what_the_models_say(empty)


def test_a_newer_schema_is_refused_and_left_alone(empty: Path | str) -> None:
    Database(empty).close()
    with connected(empty) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newest = schema.revisions()[-1]
    wanted = f"its schema is 9999, this program knows up to {newest}"
    with pytest.raises(StagingError, match=wanted):
        Database(empty)
    done = subprocess.run(
        (*COMMAND, "device", "list", "--database", url_of(empty)),
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert wanted in done.stderr
    with connected(empty) as connection:
        assert schema.version(connection) == "9999"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE audit", "lacks the table audit; put a backup back"),
        ("DROP TABLE alembic_version", "and no alembic_version: not a database of story-cloud"),
    ],
)
def test_a_store_that_lost_a_table_is_refused_with_what_to_do(
    tmp_path: Path, change: str, said: str
) -> None:
    """It started, and every request failed; without its version a migration failed with a column's name."""
    where = tmp_path / "cloud.sqlite"
    Database(where).close()
    with sqlite3.connect(where) as file:
        file.execute(change)
    with pytest.raises(StagingError, match=said):
        Database(where)


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    """An empty cloud was made in it."""
    where = tmp_path / "cloud.sqlite"
    with sqlite3.connect(where) as file:
        file.execute("CREATE TABLE contacts (name TEXT)")
    with pytest.raises(StagingError, match="has contacts and no alembic_version: not a database"):
        Database(where)


def test_a_database_of_somebody_else_is_refused(empty: Path | str) -> None:
    with connected(empty) as connection:
        connection.execute(text("CREATE TABLE devices (name TEXT)"))
    with pytest.raises(StagingError, match="has devices and no alembic_version: not a database of"):
        Database(empty)
    assert columns(empty) == {"devices": {"name"}}


HELD_IN_THE_MIDDLE = """
import sys
from sqlalchemy import event
from staging.store import Database, schema

def hold(connection, cursor, statement, parameters, context, executemany):
    # A revision's number is written after all that the revision does.
    if statement.startswith("UPDATE alembic_version"):
        print("in the middle", flush=True)
        sys.stdin.read()

def watched(url, make=schema.migrating_engine):
    engine = make(url)
    event.listen(engine, "before_cursor_execute", hold)
    return engine

schema.migrating_engine = watched
Database(sys.argv[1])
"""


def test_a_crash_in_the_middle_leaves_the_old_schema(empty: Path | str) -> None:
    fill_first_schema(empty)
    before = columns(empty)
    process = subprocess.Popen(
        [sys.executable, "-c", HELD_IN_THE_MIDDLE, url_of(empty)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE)
    assert columns(empty) == before
    with connected(empty) as connection:
        assert schema.version(connection) == schema.FIRST
    assert uuids(empty) == [UUID]


def test_processes_that_start_at_once_take_turns(empty: Path | str) -> None:
    fill_first_schema(empty)
    words = (*COMMAND, "device", "list", "--database", url_of(empty))
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, err) == (0, "")
        assert UUID in out


def test_a_migration_that_leaves_rows_without_their_parents_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    fill_first_schema(path)
    with connected(path) as connection:
        connection.execute(text("DELETE FROM products"))
    with pytest.raises(StagingError, match="refers to a missing row of products"):
        Database(path)
    with connected(path) as connection:
        assert schema.version(connection) == schema.FIRST


def url_of(where: Path | str) -> str:
    return f"sqlite:///{where}" if isinstance(where, Path) else where
