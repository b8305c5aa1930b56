"""Test of what importing the metrics costs."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_import_loads_nothing_heavy_beside_sklearn():
    code = (
        "import sys, sklearn.metrics\n"
        "before = set(sys.modules)\n"
        "import skdeep.metrics, skdeep.model_selection\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'numba', 'skorch', 'pynndescent'}\n"
        "found = sorted(heavy & (set(sys.modules) - before))\n"
        "sys.exit(', '.join(found) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
