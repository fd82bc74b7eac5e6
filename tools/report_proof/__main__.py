"""Proves that no report is lost, invented or stored twice, through cuts and kills (docs/adr/0034).

    python -m tools.report_proof [--link coap|mqtt] [--reports N] [--devices N] [--together N] [--cut-bytes N] [--minutes N] [--seed N] [--write FILE] [--night]

A real staging cloud runs, and each device reaches it through a proxy that cuts each connection after a random number of
bytes. A device is a process with the agent's outbox, delivery and link; it says each number on its standard output once
the outbox has it. Devices and cloud are killed with kill -9 at random moments. When all is put, the outboxes empty, and the
cloud's history is compared with what was said. With ``--together`` above one, so many reports are put at once, and a
connection lives for LONG_CUT_BYTES, since a batch of reports has up to 16 KiB; ``--cut-bytes`` makes it shorter, for more cuts. An
interrupt, or the end of ``--minutes``, ends it early: what was put until then arrives and is compared. Exit code 0 only if each
report is stored once, under its device, and nothing else is.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

from tools import black_box
from tools.amounts import amount, whole
from tools.ending import run_main
from tools.processes import ended_by_signals
from tools.report_proof.proof import KILL_SECONDS, Proof
from tools.report_proof.proxy import CUT_BYTES


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.report_proof", description=__doc__)
    parser.add_argument(
        "--link", choices=["coap", "mqtt"], default="coap", help="the link to prove"
    )
    parser.add_argument("--reports", type=whole(1), default=2500, help="how many (default: 2500)")
    parser.add_argument("--devices", type=whole(1), default=1, help="that share them (default: 1)")
    parser.add_argument(
        "--together", type=whole(1), default=1, help="reports put at once (default: 1)"
    )
    parser.add_argument("--cut-bytes", type=whole(CUT_BYTES[0] + 1), help="at most until a cut")
    parser.add_argument(
        "--kill-seconds",
        type=amount(KILL_SECONDS[0], or_equal=True),
        default=KILL_SECONDS[1],
        help="at most between two kills",
    )
    parser.add_argument("--minutes", type=amount(), default=math.inf, help="put none after so many")
    parser.add_argument("--seed", type=whole(0), default=1, help="of the moments (default: 1)")
    parser.add_argument("--write", type=Path, help="a file for the result")
    parser.add_argument("--night", action="store_true", help="add it to docs/mutation.md")
    return parser.parse_args()


def main() -> int:
    """Run the proof; return the exit code."""
    options = _parse()
    with tempfile.TemporaryDirectory(prefix="story-reports-") as folder:
        proof = Proof(
            Path(folder), options.link, options.seed, options.together, options.devices, options.cut_bytes
        )  # fmt: skip
        try:
            with ended_by_signals(proof.stop):
                proof.run(
                    options.reports, (KILL_SECONDS[0], options.kill_seconds), options.minutes * 60
                )
        finally:
            proof.close()
        proof.count()
    tally = proof.tally
    print(tally.report())
    if options.write:
        options.write.write_text(f"{tally.report()}\n")
    if options.night:
        kills, what = tally.device_kills + tally.cloud_kills, f"{black_box.REPORTS}, {options.link}"
        black_box.add(what, len(tally.said), tally.cuts, kills, tally.wrong, tally.seconds)
    for name, numbers in (("lost", tally.lost), ("invented", tally.invented)):
        if numbers:
            print(f"{name}: {sorted(numbers)[:20]}")
    return int(not tally.is_whole)


if __name__ == "__main__":
    run_main(main)
