"""Changes the source in one place at a time and looks whether a test fails: `make mutation`.

A suite that passes with a removed fsync, a deadline a thousand times too long or a turned condition proves nothing about
them. Each mutant is run in a copy of the tree, by those of its room's tests that run the changed line, which coverage.py
has noted in a run without a mutant; docs/mutation.md has what survived. `--only` chooses rooms, of which a sample is
tried; `--kind` is every removed sync or lock, or every number a thousand times as large or a thousandth, in the whole product
or in the files below `--under`, or a sample of `--each` of them, by the module's own tests.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.test_house import TESTED_IN
from tools.amounts import whole
from tools.ending import run_main
from tools.mutants import KINDS, Mutant, Place, changed, mutants, places
from tools.mutation_tests import Ran
from tools.mutation_tree import ROOT, Copy

# What is mutated, and the tests that should notice.
SUBJECTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "framing": (("wire/framing.py",), ("tests/wire/test_framing.py",)),
    "files": (("base/files.py",), ("tests/base/test_files.py", "tests/test_syncs.py")),
    "dispatch": (("resources/dispatch.py",), ("tests/resources/test_dispatch.py", "tests/agent/test_deadlines.py")),
    "outbox": (("agent/link/outbox_file.py", "agent/link/outbox.py", "agent/link/outbox_store.py"), (
        "tests/agent/link/test_outbox.py", "tests/agent/link/test_outbox_lanes.py", "tests/agent/link/test_outbox_file.py",
        "tests/agent/link/test_outbox_damage.py", "tests/agent/link/test_outbox_disk.py", "tests/agent/link/test_outbox_faults.py",
        "tests/test_syncs.py",
    )),
    "task": (("ota/order/task.py", "ota/order/record.py", "ota/order/recovery.py", "wire/ota.py"), (
        "tests/ota/order", "tests/wire/test_ota.py", "tests/ota/test_restart.py",
    )),
    "trust": (("ota/trust/terms.py", "ota/trust/client.py", "ota/trust/target.py"), (
        "tests/ota/trust", "tests/ota/test_durable.py", "tests/base/test_clock.py",
    )),
    "launch": (("ota/launch/boot.py", "ota/launch/launch.py", "ota/launch/starts.py"), ("tests/ota/launch",)),
    "gateway": (("staging/gateway/gateway.py", "staging/gateway/session.py"), ("tests/staging/gateway",)),
}  # fmt: skip
# The rooms of which every sync and every number is tried.
PRODUCT = (
    "wire",
    "audio",
    "base",
    "transport",
    "machine",
    "resources",
    "ota",
    "release",
    "agent",
    "staging",
)
# Tests of a whole room, which notice more than the module's own: an update's system calls are seen in one of them.
TESTS_OF_ROOMS: Mapping[str, tuple[str, ...]] = {
    "ota/": (
        "tests/ota/test_durable.py",
        "tests/ota/test_space.py",
        "tests/ota/test_updater_left.py",
    ),
    "agent/": ("tests/agent/test_deadlines.py",),
    "agent/link/": ("tests/agent/link/test_outage.py",),
    "transport/": ("tests/transport/test_deadlines.py",),
    "staging/gateway/": (
        "tests/staging/gateway/test_deadlines.py",
        "tests/staging/gateway/test_bounds.py",
    ),
}
# Mutants of a subject, where none is asked.
EACH = 20
# What every removed sync is run by first; a removed lock, by the guards of its room.
SYNCS = "tests/test_syncs.py"
GUARDS: Mapping[str, str] = {
    "agent": "tests/locks/test_agent.py",
    "base": "tests/locks/test_machine.py",
    "machine": "tests/locks/test_machine.py",
    "transport": "tests/locks/test_agent.py",
    "resources": "tests/locks/test_resources.py",
    "ota": "tests/locks/test_updates.py",
    "release": "tests/locks/test_updates.py",
    "staging": "tests/locks/test_staging.py",
}
# Memory, where there is some: a run waits for the disk longer than it computes.
_FAST = Path("/dev/shm")  # noqa: S108  # a folder of a name of its own is made in it


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a subject's mutants."""

    name: str
    possible: int
    tried: int
    survived: list[Mutant]


def main() -> int:
    """Run the sample; return 0 where nine of ten mutants were noticed, in each subject."""
    options = _options()
    scratch = str(_FAST) if _FAST.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="m-", dir=scratch) as folder:
        tree = Copy(Path(folder) / "t")
        if options.kind is None:
            each = EACH if options.each is None else options.each
            rows = [_sampled(tree, name, each, options.seed) for name in options.only]
        else:
            found = _chosen(_of_kinds(options.kind, options.under), options.each, options.seed)
            rows = [_tried(tree, *one) for one in found.items()]
    table = _table(rows)
    if options.write is not None:
        options.write.write_text(table, encoding="utf-8")
    sys.stdout.write(table)
    return 0 if all(10 * len(row.survived) <= row.tried for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make mutation", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument(
        "--each",
        type=whole(0),
        help=f"mutants of each subject ({EACH}), or of the kinds (all); 0: all",
    )
    parser.add_argument("--seed", type=whole(0), default=1)
    parser.add_argument(
        "--kind", choices=KINDS, nargs="+", help="every place of these kinds, in the whole product"
    )
    parser.add_argument(
        "--under",
        nargs="*",
        type=_of_the_tree,
        default=list(PRODUCT),
        help="files or folders, with --kind",
    )
    parser.add_argument("--write", type=Path, help="a file for the table")
    return parser.parse_args()


def _of_the_tree(text: str) -> str:
    path = (ROOT / text).resolve()
    if not path.exists() or not path.is_relative_to(ROOT):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a file or folder of the tree")
    return text


def _source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _of_kinds(kinds: Sequence[str], under: Sequence[str]) -> list[Place]:
    """Return the places of some kinds in the product's files."""
    pattern = "|".join(KINDS[kind] for kind in kinds)
    roots = [ROOT / name for name in under]
    files = sorted(
        str(file.relative_to(ROOT))
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*.py"))
        if "migrations/versions" not in str(file)
    )
    return [place for file in files for place in places(file, _source(file), pattern)]


def _chosen(every: Sequence[Place], each: int | None, seed: int) -> dict[str, list[Mutant]]:
    """Return the mutants of a sample of places, or of all, by their files."""
    sample = random.Random(seed).sample(every, min(each or len(every), len(every)))  # noqa: S311  # a sample
    files: dict[str, list[Mutant]] = {}
    for place in sorted(sample):
        files.setdefault(place.file, []).append(changed(place, _source(place.file)))
    return files


def _of_its_name(file: str) -> list[str]:
    folder, name = ROOT / "tests" / Path(file).parent, Path(file).stem
    patterns = [f"test_{name}.py", f"test_{name}_*.py"]
    return [
        str(test.relative_to(ROOT)) for pattern in patterns for test in sorted(folder.glob(pattern))
    ]


def own_tests(file: str) -> list[str]:
    """Return the tests of a module: those of its name, where the house's table says, and those of its room."""
    found = _of_its_name(file)
    listed = TESTED_IN.get(file.removesuffix(".py").replace("/", "."))
    found += [listed] if listed is not None else []
    found += [
        test for room, tests in TESTS_OF_ROOMS.items() if file.startswith(room) for test in tests
    ]
    return list(dict.fromkeys(found))


def _sampled(tree: Copy, name: str, each: int, seed: int) -> Row:
    files, tests = SUBJECTS[name]
    every = [mutant for file in files for mutant in mutants(file, _source(file))]
    chosen = random.Random(seed).sample(every, min(each or len(every), len(every)))  # noqa: S311  # a sample
    began = time.monotonic()
    ran = replace(tree.recorded(tests, files), own={file: _of_its_name(file) for file in files})
    _say(f"{name}: {len(ran.seconds)} tests pass, {time.monotonic() - began:.0f} s")
    survived = []
    for number, mutant in enumerate(chosen, 1):
        began = time.monotonic()
        noticed = _noticed(tree, ran, mutant)
        if not noticed.startswith("noticed"):
            survived.append(mutant)
        _say(
            f"{name} {number}/{len(chosen)} {_place(mutant)}: {noticed}, {time.monotonic() - began:.0f} s"
        )
    return Row(name, len(every), len(chosen), survived)


def _noticed(tree: Copy, ran: Ran, mutant: Mutant) -> str:
    """Return what became of a mutant, in words."""
    tests = ran.of(mutant)
    if not tests:
        return "survived: no test runs it"
    test = tree.noticed_by(mutant, {one: ran.seconds[one] for one in tests})
    return f"survived {len(tests)} tests" if test is None else f"noticed by {test}"


def _place(mutant: Mutant) -> str:
    return f"{mutant.file}:{mutant.line} {mutant.change}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _tried(tree: Copy, file: str, found: Sequence[Mutant]) -> Row:
    """Try mutants of one file: syncs and locks by the tests of all of them first, each then by the module's own."""
    left = list(found)
    for kind, test in (("sync", SYNCS), ("locks", GUARDS.get(file.partition("/")[0]))):
        of_it = [mutant for mutant in left if re.search(KINDS[kind], mutant.change)]
        noticed = set(of_it) - set(_survivors(tree, of_it, [test] if test else []))
        left = [mutant for mutant in left if mutant not in noticed]
    return Row(file, len(found), len(found), _survivors(tree, left, own_tests(file)))


def _survivors(tree: Copy, chosen: Sequence[Mutant], tests: Sequence[str]) -> list[Mutant]:
    if not chosen:
        return []
    if not tests or not tree.passes_unchanged(tests):
        told = f"its tests fail without a mutant: {' '.join(tests)}\n{tree.said}"
        _say(f"{chosen[0].file}: {told if tests else 'it has no tests of its own'}")
        return list(chosen)
    survived = []
    for number, mutant in enumerate(chosen, 1):
        lives = tree.passes_with(mutant, tests)
        if lives:
            survived.append(mutant)
        what = "survived" if lives else "noticed"
        _say(f"{number}/{len(chosen)} {_place(mutant)}: {what}")
    return survived


def _table(rows: list[Row]) -> str:
    lines = [
        "| subject | mutants there are | tried | noticed | survived |\n|---|---|---|---|---|\n"
    ]
    for row in rows:
        places = "; ".join(_place(mutant) for mutant in row.survived)
        share = 100 * (row.tried - len(row.survived)) / max(1, row.tried)
        lines.append(f"| {row.name} | {row.possible} | {row.tried} | {share:.0f} % | {places} |\n")
    return "".join(lines)


if __name__ == "__main__":
    run_main(main)
