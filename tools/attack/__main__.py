"""Runs the attacks and says of each whether the cloud and the agent held: ``make attack``.

``ONLY="log-in brake,plain HTTP"`` runs these alone, ``--write FILE`` writes the table as Markdown. The exit code is the
number of attacks that succeeded, 0 if all were held. ``--store postgresql`` makes them on that database, ``--workers 2``
at that many workers of such a cloud, with the machine behind its broker.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from staging.commands.common import DATABASE_VARIABLE
from staging.store.engine import POSTGRESQL, SQLITE
from tools.attack import doors, family, flood, guessing, owners, roles, words
from tools.attack.site import Attack, Outcome, Site, allow_files
from tools.postgresql import postgresql

ATTACKS: tuple[Attack, ...] = (
    *guessing.ATTACKS, *words.ATTACKS, *family.ATTACKS, *roles.ATTACKS, *owners.ATTACKS,
    *doors.ATTACKS, *flood.ATTACKS,
)  # fmt: skip
# Of the attacker: one connection each, and the cloud's own beside it.
FILES = 16_384


@dataclass(frozen=True, slots=True)
class Row:
    """One attack, how it ended, and the seconds that it took."""

    attack: Attack
    outcome: Outcome
    seconds: float

    def text(self) -> str:
        """Return a line for a person."""
        held = "held  " if self.outcome.held else "BROKEN"
        return f"{held}  {self.attack.name}: {self.attack.wants}: {self.outcome.seen} ({self.seconds:.0f} s)"

    def markdown(self) -> str:
        """Return a line of a table."""
        held = "held" if self.outcome.held else "**broken**"
        return f"| {self.attack.name} | {self.attack.wants} | {held} | {self.outcome.seen} |"


def attack(site: Site, attacks: Sequence[Attack]) -> list[Row]:
    """Run attacks one after another, and print each as it ends."""
    rows = []
    for each in attacks:
        began = time.monotonic()
        try:
            outcome = each.run(site)
        except Exception as error:  # noqa: BLE001  # one that cannot be tried has not been held
            outcome = Outcome(
                held=False, seen=f"could not be tried: {type(error).__name__}: {error}"
            )
        rows.append(Row(each, outcome, time.monotonic() - began))
        print(rows[-1].text(), flush=True)
    return rows


def choose(names: str) -> list[Attack]:
    """Return the attacks of these names, separated by commas; "" means all. Raises SystemExit."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [each.name for each in ATTACKS]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"--only: got {unknown[0]!r}, expected of: {', '.join(known)}")
    # In their own order: some leave the machine to another family.
    return [each for each in ATTACKS if not wanted or each.name in wanted]


@contextlib.contextmanager
def database(store: str) -> Iterator[None]:
    """Let every cloud and command of this process use the database of this kind."""
    if store == SQLITE:
        yield
        return
    with postgresql(durable=True) as server:
        os.environ[DATABASE_VARIABLE] = server.url()
        try:
            yield
        finally:
            del os.environ[DATABASE_VARIABLE]


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="NAMES", help="separated by commas")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the table as Markdown")
    parser.add_argument("--store", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    parser.add_argument("--workers", type=int, choices=range(4), default=0, metavar="N")
    options = parser.parse_args()
    if options.workers and options.store == SQLITE:
        parser.error("--workers: a worker needs --store postgresql")
    chosen = choose(options.only)
    allow_files(FILES)
    with (
        database(options.store),
        tempfile.TemporaryDirectory(prefix="story-attack-") as folder,
    ):
        site = Site(Path(folder), options.workers)
        try:
            site.start()
            rows = attack(site, chosen)
        finally:
            site.stop()
    broken = sum(not row.outcome.held for row in rows)
    print(f"{len(rows) - broken} of {len(rows)} attacks were held")
    if options.write is not None:
        head = "| attack | what for | | what was seen |\n|---|---|---|---|\n"
        options.write.write_text(head + "".join(f"{row.markdown()}\n" for row in rows))
    return min(broken, 100)


if __name__ == "__main__":
    sys.exit(main())
