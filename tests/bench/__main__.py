"""How fast Roost is on this machine: `make bench`. About eight minutes, on databases of its own.

Only ratios within one run carry over to another machine. Every delivery is counted, the order is
checked, and what was acknowledged is counted in the database: a number for a chat that loses
something means nothing.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench import arrivals, comeback, hall, idle, nuisances, pairs, restarts
from tests.bench.stack import production, sqlite
from tests.bench.stock import ROUNDS

WORKLOADS = {
    "arrivals": arrivals,  # while nobody has missed anything
    "idle": idle,
    "comeback": comeback,
    "hall": hall,
    "pairs": pairs,
}
LONG = {"nuisances": nuisances, "restarts": restarts}  # only if they are named


def main(chosen: list[str]) -> None:
    """Measure all workloads, or only those that are named."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and not without killing the servers
    workloads = [(WORKLOADS | LONG)[name] for name in chosen or WORKLOADS]
    print(f"Median of {ROUNDS} rounds (lowest to highest), {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory:
        home = Path(directory)
        for stacked in (sqlite(home / "sqlite"), production(home / "production")):
            with stacked as stack:
                print(f"\n{stack.name}")
                for workload in workloads:
                    workload.measure(stack)


if __name__ == "__main__":
    main(sys.argv[1:])
