"""``make bench``: every bench in its own process, one after the other."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

BENCHES = (
    "gateway_ingest",
    "cloud_ingest",
    "crash_soak",
    "fleet",
    "activity_real",
    "realism",
    "edge_savings",
    "false_alarms",
)


def main() -> int:
    """Run all benches, or those named; 0 when every bar is reached."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--json", type=Path, help="write all figures here, as a list")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHES)
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    figures: list[object] = []
    codes: list[int] = []
    for name in options.names or BENCHES:
        print(f"== {name}", flush=True)
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            command = [sys.executable, "-m", f"bench.{name}", "--json", result.name]
            codes.append(subprocess.run(command, check=False).returncode)
            text = Path(result.name).read_text()
        found = json.loads(text) if text else []
        found = found if isinstance(found, list) else [found]
        if codes[-1] and all(figure["passed"] for figure in found):
            found.append({"name": name, "passed": False, "notes": "it failed"})
        figures += found
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
