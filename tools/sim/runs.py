"""Runs seeds one after another: progress, totals, and of a failing seed the smallest set of events that fails."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tools.sim.env import Env
from tools.sim.observer import watch_promises
from tools.sim.scenario import Event, scenario
from tools.sim.world import Outcome, World, prepare


def main(env: Env, parser: argparse.ArgumentParser) -> int:
    """Run what the command line says; return the exit code."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, with its trace")
    parser.add_argument("--hours", type=float, default=24.0, help="of each seed")
    parser.add_argument("--verbose", action="store_true", help="the product's log too, with --seed")
    options = parser.parse_args()
    logging.disable(logging.NOTSET if options.verbose else logging.CRITICAL)
    if options.verbose:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    sys.unraisablehook = lambda _told: None  # what is dead is collected late, and cannot end well
    runner = Runner(env)
    if options.seed is not None:
        return runner.show(options.seed, options.hours)
    return runner.run(range(options.first, options.first + options.seeds), options.hours)


class Runner:
    """Runs seeds in this process."""

    def __init__(self, env: Env) -> None:
        """Make what all seeds share."""
        self.env = env
        watch_promises()
        self.repository, self.template = prepare(env)
        gc.collect()
        gc.freeze()

    def once(self, seed: int, events: Sequence[Event], hours: float) -> Outcome:
        """Run one seed with these events."""
        outcome = World(self.env, seed, self.repository, self.template).run(events, hours)
        gc.collect()
        return outcome

    def show(self, seed: int, hours: float) -> int:
        """Run one seed, and print its trace."""
        began = time.process_time()
        outcome = self.once(seed, scenario(seed, hours), hours)
        print("\n".join(outcome.trace))
        print(
            f"seed {seed}: {outcome.fault or 'no fault'}; {time.process_time() - began:.2f} s of CPU"
        )
        print(outcome.figures)
        return 1 if outcome.fault else 0

    def run(self, seeds: Sequence[int], hours: float) -> int:
        """Run seeds; print how to repeat those that fail."""
        began, totals, failed = time.process_time(), Counter[str](), 0
        for number, seed in enumerate(seeds, 1):
            outcome = self.once(seed, scenario(seed, hours), hours)
            totals.update({name: int(value) for name, value in outcome.figures.items()})
            if outcome.fault:
                failed += 1
                print(f"seed {seed} fails after {outcome.at:.0f} s: {outcome.fault}")
                print(f"  make sim SEED={seed} HOURS={hours:g}", flush=True)
            if number % 10 == 0:
                self._tell(number, len(seeds), time.process_time() - began, hours)
        took = time.process_time() - began
        days = len(seeds) * hours / 24
        print(f"{len(seeds)} seeds, {days:.1f} agent-days, {failed} failed; {took:.1f} s of CPU,"
              f" {took / days:.2f} s a day; {dict(totals)}")  # fmt: skip
        return 1 if failed else 0

    @staticmethod
    def _tell(number: int, count: int, took: float, hours: float) -> None:
        days = number * hours / 24
        print(
            f"{number} of {count} seeds, {took / days:.2f} s of CPU an agent-day", file=sys.stderr
        )
