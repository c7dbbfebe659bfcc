"""``python -m benchmarks [limit|throughput|latency|all]``: prints the figures, and whether each goal is met."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import throughput
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import Goal, format_goals, machine


def main() -> int:
    """Run the chosen benchmarks; by default throughput and latency."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Without arguments: throughput (about ten minutes) and latency (six); limit takes seven more.",
    )
    parser.add_argument("what", nargs="?", choices=["limit", "throughput", "latency", "all"])
    parser.add_argument("--rows", type=int, default=throughput.ROWS, help="of throughput (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=throughput.ROUNDS, help="of throughput (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="of throughput")
    parser.add_argument("--no-million", action="store_true", help="leave out the run of a million rows")
    options = parser.parse_args()
    wanted = {None: ("throughput", "latency"), "all": ("throughput", "latency", "limit")}.get(
        options.what, (options.what,)
    )

    # The other benchmarks are imported later: a child's peak memory is at least that of the process that started it.
    began = time.monotonic()
    goals: list[Goal] = []
    if "throughput" in wanted:
        goals += throughput.main(options.only, options.rows, options.rounds, with_many_rows=not options.no_million)
        print()
    if "latency" in wanted:
        from benchmarks import latency

        goals += latency.main()
        print()
    if "limit" in wanted:
        from benchmarks import limit

        goals += limit.main()
        print()
    print(format_goals(goals), machine(), f"{time.monotonic() - began:.0f} s", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
