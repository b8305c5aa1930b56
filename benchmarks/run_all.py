"""Run all benchmark scripts, one after the other: ``python benchmarks/run_all.py``."""

import pathlib
import subprocess
import sys

if __name__ == "__main__":
    for script in sorted(pathlib.Path(__file__).parent.glob("bench_*.py")):
        print(f"\n== {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True)
