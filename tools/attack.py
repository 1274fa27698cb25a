"""Attack the graph server and the client, which are started for it, and compare what it costs with the stated bounds.

    python tools/attack.py                     every attack
    python tools/attack.py --short             smaller ones, as in CI
    python tools/attack.py --only JSON --json  attacks with JSON in their names; figures as JSON

The exit status is 1 if a bound does not hold: a crash, more memory than stated, more than 2 s for health, a lost frame.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' helpers, and these


def main() -> int:
    """Run and print."""
    from stream_client.util.table import table
    from tools.attacks.every import ATTACKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="smaller attacks, as in CI")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--against", choices=("server", "client"), help="only attacks on this")
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks with this text in their names")
    options = parser.parse_args()
    chosen = [attack for attack in ATTACKS if options.only in attack.name and options.against in (None, attack.against)]
    if not chosen:
        parser.error(f"no attack has {options.only!r} in its name; choose from {', '.join(a.name for a in ATTACKS)}")
    found = []
    for attack in chosen:
        print(f"{attack.against}: {attack.name}", file=sys.stderr, flush=True)
        found += [(attack, figure) for figure in attack.run(options.short)]
    if options.json:
        print(json.dumps([{"attack": a.name, "against": a.against, **asdict(f), "holds": f.holds} for a, f in found]))
    else:
        rows = [
            (a.against, a.name, f.what, f"{f.value:.4g}", f"{f.bound:.4g}", f.unit, "" if f.holds else "BROKEN")
            for a, f in found
        ]
        print(table(("against", "attack", "figure", "value", "bound", "unit", ""), rows))
    return 0 if all(figure.holds for _, figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
