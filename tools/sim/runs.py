"""Runs seeds one after another: progress, totals, and of a failing seed the smallest set of events that fails."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence

from tools.amounts import amount, whole
from tools.sim.env import Env
from tools.sim.logs import install_logs
from tools.sim.scenario import Event, is_by_mqtt, scenario
from tools.sim.watching import watch_promises
from tools.sim.world import Outcome, World, prepare

# Of a failing seed: how often events are left out, and the lines of its trace that are shown.
SHRINK_RUNS, TRACE_LINES = 40, 12
# Seconds of processor time after which no fewer events are looked for: a day takes some seconds each time.
SHRINK_SECONDS = 120.0
# Simulated hours whose rest is collected together; each seed has some minutes more, to settle.
COLLECT_HOURS = 0.05


def main(env: Env, parser: argparse.ArgumentParser) -> int:
    """Run what the command line says; return the exit code."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--seeds", type=whole(1), default=100, help="how many")
    parser.add_argument("--first", type=whole(0), default=1, help="the first of them")
    parser.add_argument("--seed", type=whole(0), help="one seed, with its trace")
    parser.add_argument("--hours", type=amount(), default=24.0, help="of each seed")
    parser.add_argument("--verbose", action="store_true", help="the product's log too, with --seed")
    parser.add_argument("--stop", action="store_true", help="end with the first seed that fails")
    parser.add_argument(
        "--settle",
        type=amount(or_equal=True),
        default=2400.0,
        help="seconds without faults at the end",
    )
    parser.add_argument(
        "--density", type=amount(), default=1.0, help="how many times as often all happens"
    )
    parser.add_argument(
        "--twice", type=whole(0), default=0, help="run so many seeds again, which must be the same"
    )
    parser.add_argument(
        "--link", default="", choices=("", "coap", "mqtt"), help="of all; else each seed's own"
    )
    parser.add_argument("--also", default="", help="more, with commas: SEED:HOURS:DENSITY:SETTLE")
    options = parser.parse_args()
    # What is dead is collected late, and cannot end well.
    warnings.simplefilter("ignore", RuntimeWarning)
    if options.verbose:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    install_logs()
    sys.unraisablehook = lambda _told: None
    runner = Runner(
        env, stop=options.stop, settle=options.settle, density=options.density, link=options.link
    )
    if options.seed is not None:
        return runner.show(options.seed, options.hours)
    failed = runner.run(range(options.first, options.first + options.seeds), options.hours)
    failed = failed or runner.compare(options.twice, options.hours)
    also = [runner.also(told) for told in options.also.split(",") if told]
    return max([failed, *also])


class Runner:
    """Runs seeds in this process."""

    def __init__(
        self,
        env: Env,
        *,
        stop: bool = False,
        settle: float = 2400.0,
        density: float = 1.0,
        link: str = "",
    ) -> None:
        """Make what all seeds share; ``stop``: end with the first that fails; ``link``: of all seeds."""
        self._link = link
        self._digests: dict[int, str] = {}
        self._uncollected = 0.0
        self.env, self._stop, self._settle, self._density = env, stop, settle, density
        watch_promises()
        self.repository, self.template = prepare(env)
        gc.collect()
        gc.freeze()

    def once(self, seed: int, events: Sequence[Event], hours: float) -> Outcome:
        """Run one seed with these events.

        What it made is collected afterwards, at once: the collector would look at it again and again, and most of it
        lives long. Of short seeds those of half an hour are collected together.
        """
        gc.disable()
        by_mqtt = self._is_by_mqtt(seed)
        world = World(self.env, seed, self.repository, self.template, self._settle, by_mqtt=by_mqtt)
        outcome = world.run(events, hours)
        self._uncollected += hours
        if self._uncollected >= COLLECT_HOURS:
            self._uncollected = 0.0
            gc.collect()
        self._digests.setdefault(seed, outcome.digest)
        return outcome

    def _is_by_mqtt(self, seed: int) -> bool:
        return self._link == "mqtt" if self._link else is_by_mqtt(seed)

    def _events(self, seed: int, hours: float) -> list[Event]:
        return scenario(seed, hours, self._density, by_mqtt=self._is_by_mqtt(seed))

    def show(self, seed: int, hours: float) -> int:
        """Run one seed, and print its trace."""
        began = time.process_time()
        outcome = self.once(seed, self._events(seed, hours), hours)
        print("\n".join(outcome.trace))
        print(
            f"seed {seed}: {outcome.fault or 'no fault'}; {outcome.digest}; {time.process_time() - began:.2f} s of CPU"
        )
        print(outcome.figures)
        return 1 if outcome.fault else 0

    def also(self, told: str) -> int:
        """Run one seed of another kind, told as "SEED:HOURS:DENSITY:SETTLE"; return the exit code."""
        seed, hours, self._density, self._settle = (float(word) for word in told.split(":"))
        return self.show(int(seed), hours)

    def compare(self, count: int, hours: float) -> int:
        """Run the first seeds again; each must go as before, whatever ran between. Return the exit code."""
        different = 0
        for seed, before in list(self._digests.items())[:count]:
            again = self.once(seed, self._events(seed, hours), hours).digest
            if again != before:
                different += 1
                print(f"seed {seed} is another one the second time: {before}, then {again}")
        if count:
            print(f"{count} seeds again, {different} different")
        return 1 if different else 0

    def run(self, seeds: Sequence[int], hours: float) -> int:
        """Run seeds; print how to repeat those that fail."""
        began, totals, failed = time.process_time(), Counter[str](), 0
        for number, seed in enumerate(seeds, 1):
            outcome = self.once(seed, self._events(seed, hours), hours)
            totals.update({name: int(value) for name, value in outcome.figures.items()})
            if outcome.fault:
                failed += 1
                print(f"seed {seed} fails after {outcome.at:.0f} s: {outcome.fault}")
                link = f" LINK={self._link}" if self._link else ""
                print(f"  make sim SEED={seed} HOURS={hours:g}{link}", flush=True)
                if self._stop:
                    break
                self._shrink(seed, outcome, hours)
            if number % 10 == 0:
                self._tell(number, len(seeds), time.process_time() - began, hours)
        took = time.process_time() - began
        days = len(seeds) * hours / 24
        print(f"{len(seeds)} seeds, {days:.1f} agent-days, {failed} failed; {took:.1f} s of CPU,"
              f" {took / days:.2f} s a day; {dict(totals)}")  # fmt: skip
        return 1 if failed else 0

    def _shrink(self, seed: int, failed: Outcome, hours: float) -> None:
        """Print the events without which the seed does not fail so, and the end of that run's trace."""
        check, end = failed.fault.partition(":")[0], time.process_time() + SHRINK_SECONDS
        needed = [event for event in self._events(seed, hours) if event.at <= failed.at]
        size = max(1, len(needed) // 2)
        for _ in range(SHRINK_RUNS):
            found = self._without(seed, needed, size, check, hours, end)
            if found is not None:
                needed, failed = found
            elif size == 1 or time.process_time() > end:
                break
            else:
                size = max(1, size // 2)
        print("  needed:", "; ".join(map(str, needed)) or "nothing")
        print("\n".join(f"  {line}" for line in failed.trace[-TRACE_LINES:]), flush=True)

    def _without(
        self, seed: int, needed: list[Event], size: int, check: str, hours: float, end: float
    ) -> tuple[list[Event], Outcome] | None:
        """Return fewer events, by ``size``, with which the seed fails at the same ``check``; None: there are none, or the time is over."""
        for at in range(0, len(needed), size):
            if time.process_time() > end:
                return None
            fewer = needed[:at] + needed[at + size :]
            outcome = self.once(seed, fewer, hours)
            if outcome.fault.startswith(check):
                return fewer, outcome
        return None

    @staticmethod
    def _tell(number: int, count: int, took: float, hours: float) -> None:
        days = number * hours / 24
        print(
            f"{number} of {count} seeds, {took / days:.2f} s of CPU an agent-day", file=sys.stderr
        )
