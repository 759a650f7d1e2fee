"""How long `lema --help` takes, beside a Python that does nothing: the best of five.

.venv/bin/python benchmarks/help.py
"""

import subprocess
import sys
import time


def best(*arguments: str) -> float:
    """Seconds of wall time, the best of five."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    print(f"lema --help: {best('-m', 'lema_ray.cli', '--help'):.2f} s; python -c pass: {best('-c', 'pass'):.2f} s")
