"""Every ratio in one table, and one line more in history.jsonl: what `make bench` runs.

    python benchmarks/bench.py [--size short|full|nightly] [--only client holistic] [--history FILE]

`short` takes about two minutes on two cores with nothing else to do, `full` less than half an hour, `nightly` an hour
and more. A ratio is ours over a peer's in the same run; `no` marks one that misses its goal. The table also says
how much of the processors other processes took: with more than a few percent it says little. What lacks something (the
shared clips, a processor's feature) is named, with the reason. The exit status is 1 where a measurement failed. A part
(`--only`) is printed and not kept.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from history import HISTORY, Run, append, heading, read, table
from machine import Processors, commit, machine
from suite import MEASUREMENTS, ROOT, SIZES, Failed, Lacking, Measurement, Size, run


def measured(chosen: Sequence[Measurement], size: Size) -> tuple[Run, bool]:
    """A run of these, and whether all that could be measured was."""
    here, complete = machine(), True
    ratios: dict[str, dict[str, float]] = {}
    missing: dict[str, str] = {}
    begun, processors = time.monotonic(), Processors.now()
    for measurement in chosen:
        if measurement.needs and not measurement.needs.intersection(here["features"]):
            missing[measurement.name] = f"this processor has none of {', '.join(sorted(measurement.needs))}"
            continue
        print(f"{measurement.name} …", file=sys.stderr, flush=True)
        try:
            found = run(measurement, measurement.arguments[size])["ratios"]
        except Lacking as error:
            missing[measurement.name] = str(error)
            continue
        except Failed as error:
            missing[measurement.name], complete = str(error), False
            continue
        keys = [ratio.key for ratio in measurement.ratios]
        ratios[measurement.name] = {key: float(f"{found[key]:.4g}") for key in keys if key in found}
    seconds, (others, stolen) = time.monotonic() - begun, Processors.now().others(processors)
    name, changed = commit(ROOT, HISTORY)
    when = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    shares = {"seconds": round(seconds, 1), "others": round(others, 3), "stolen": round(stolen, 3)}
    return Run(when, name, changed, size, **shares, machine=here, ratios=ratios, missing=missing), complete


def main() -> int:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in MEASUREMENTS], help="these alone")
    parser.add_argument("--history", type=Path, default=HISTORY, help="the file that the run is appended to")
    options = parser.parse_args()
    try:
        earlier = read(options.history)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if not options.history.parent.is_dir():
        parser.error(f"there is no folder {options.history.parent} to write {options.history.name} into")
    chosen = [each for each in MEASUREMENTS if options.size in each.arguments]
    if options.only:
        chosen = [each for each in chosen if each.name in options.only]
        if not chosen:
            parser.error(f"--size {options.size} has none of {', '.join(options.only)}")
    found, complete = measured(chosen, options.size)
    print("\n".join(heading(found) + table(found, earlier)))
    if not options.only:
        append(found, options.history)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
