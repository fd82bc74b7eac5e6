"""Runs what a machine's diagnosis says of its days in the simulation: ``make replay BUNDLE=story-agent-diag-….tar.gz``.

    python -m tools.sim.replay BUNDLE [--hours H] [--seed N]

Orders, the link's ups and downs, updates, ends and kills come at their times; titles are others, and what the machine
met beside them is not known (docs/simulation.md). Prints the trace and what was left out. Exit code 0 only if no invariant was broken.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from tools.ending import leave_nothing
from tools.sim.env import install, run_again_without_hash_seed

run_again_without_hash_seed()
leave_nothing()
ENV = install()

# Nothing of the product's may be imported before.
from tools.amounts import amount, whole  # noqa: E402
from tools.sim.journal import Plan, make_plan, read_bundle  # noqa: E402
from tools.sim.logs import install_logs  # noqa: E402
from tools.sim.replaying import events_of  # noqa: E402
from tools.sim.watching import watch_promises  # noqa: E402
from tools.sim.world import World, prepare  # noqa: E402

SETTLE_SECONDS = 600.0


def main() -> int:
    """Run a bundle's journal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path, help="the archive, or an events.jsonl")
    parser.add_argument("--hours", type=amount(), default=24.0, help="the last of the journal")
    parser.add_argument(
        "--seed", type=whole(0), default=1, help="of all that the journal does not say"
    )
    options = parser.parse_args()
    try:
        plan = make_plan(read_bundle(options.bundle))
    except (OSError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    if not plan.steps and not plan.seconds:
        left_out = dict(plan.left_out) or "no line at all"
        print(
            f"replay: {options.bundle}: it says of nothing that can be done again: {left_out}",
            file=sys.stderr,
        )
        return 2
    return _run(plan, options.seed, options.hours * 3600)


def _run(plan: Plan, seed: int, longest: float) -> int:
    install_logs()
    sys.unraisablehook = lambda _told: None
    watch_promises()
    world = World(ENV, seed, *prepare(ENV), SETTLE_SECONDS)
    begin = max(0.0, plan.seconds - longest)
    outcome = world.run(events_of(plan, begin), (plan.seconds - begin) / 3600)
    print("\n".join(outcome.trace))
    said = Counter(world.observer.accepted.values())
    print("reports, on the machine and here:", _compared(plan.reports, said))
    print("left out:", dict(plan.left_out) or "nothing")
    print(f"{outcome.fault or 'no invariant was broken'}; {outcome.digest}")
    return 1 if outcome.fault else 0


def _compared(there: Counter[str], here: Counter[str]) -> str:
    return ", ".join(f"{key} {there[key]}/{here[key]}" for key in sorted({*there, *here})) or "none"


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # connections of the dead are open still, and must not be closed now
