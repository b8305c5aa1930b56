"""Test of what importing the metrics costs."""

import subprocess
import sys


def test_import_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, skdeep.metrics, skdeep.model_selection\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'numba', 'skorch', 'pynndescent'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules)) or 0) if heavy & set(sys.modules)"
        " else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
