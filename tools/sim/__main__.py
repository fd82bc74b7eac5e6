"""The simulation: years of a machine's life in minutes, each failure repeatable by its seed (docs/simulation.md).

    python -m tools.sim [--seeds N] [--first N] [--seed N] [--hours H]

``--seed`` runs one, and prints its trace. Exit code 0 only if no invariant was broken.
"""

from __future__ import annotations

import argparse
import os
import sys

from tools.ending import leave_nothing
from tools.sim.env import install, run_again_without_hash_seed
from tools.sim.planted import plant_from_environment

run_again_without_hash_seed()
leave_nothing()
plant_from_environment()
ENV = install()

from tools.sim.runs import main  # noqa: E402  # nothing of the product's may be imported before

if __name__ == "__main__":
    code = main(ENV, argparse.ArgumentParser(description=__doc__))
    sys.stdout.flush()
    os._exit(code)  # connections of the dead are open still, and must not be closed now
