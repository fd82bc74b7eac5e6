"""Writes the next revision of the store's schema, from the models' changes since the last one.

``python -m tools.revision "what it is for"``. Review and correct the file that it prints before you
commit it (docs/staging.md, "The schema").
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate.rewriter import Rewriter
from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import DefaultClause, false, true

from staging.migrations.config import alembic_config
from staging.store import schema
from staging.store.engine import locate, migrating_engine

_rewriter = Rewriter()


@_rewriter.rewrites(ops.AddColumnOp)
def _fill_old_rows(_context: object, _revision: object, added: ops.AddColumnOp) -> ops.AddColumnOp:
    """Give existing rows the model's default in a new column."""
    column = added.column
    default = getattr(column.default, "arg", None)
    if isinstance(default, bool):
        column.server_default = DefaultClause(true() if default else false())
    elif isinstance(default, (str, int, float)):
        column.server_default = DefaultClause(str(default))
    return added


def _no_empty_revision(
    _context: object, _revision: object, scripts: list[ops.MigrationScript]
) -> None:
    if scripts[0].upgrade_ops is not None and scripts[0].upgrade_ops.is_empty():
        scripts.clear()


def write(message: str) -> Path | None:
    """Write the revision and return its file; None if the models have no changes."""
    with tempfile.TemporaryDirectory(prefix="story-revision-") as name:
        engine = migrating_engine(locate(Path(name) / "cloud.sqlite"))
        with engine.begin() as connection:
            config = alembic_config(connection)
            known = schema.revisions()
            if known:
                command.upgrade(config, "head")
            number = f"{len(known) + 1:04}"
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            script = command.revision(
                config,
                message,
                autogenerate=True,
                rev_id=number,
                process_revision_directives=_rewriter.chain(_no_empty_revision),
            )
        engine.dispose()
    return Path(script.path) if isinstance(script, Script) else None


def main() -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", help="what the revision is for, in a few words")
    message = parser.parse_args().message.strip().rstrip(".")
    if not re.search(r"\w", message):
        parser.error(f"message: got {message!r}, expected a few words")
    path = write(message)
    if path is None:
        print("the revisions have all that the models have")
        return 0
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", "--quiet", path], check=False)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], check=True)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
