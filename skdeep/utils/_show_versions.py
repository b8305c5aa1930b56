"""What to paste into a bug report."""

import platform
import sys
from importlib import metadata

DEPENDENCIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "skorch",
    "pynndescent",
    "safetensors",
    "matplotlib",
    "pandas",
)


def show_versions(file=None):
    """Write the versions of Python, of the machine and of all dependencies.

    Parameters
    ----------
    file : text file or None, default=None
        Where to write; None is the standard output.

    Examples
    --------
    >>> from skdeep import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    System...
    """
    lines = ["System", f"    python: {platform.python_version()}"]
    lines += [f"    machine: {platform.platform()}", "", "Packages"]
    for name in ("skdeep", *DEPENDENCIES):
        lines.append(f"    {name}: {_version(name)}")
    if "torch" in sys.modules:
        import torch

        lines += ["", "Devices", f"    threads: {torch.get_num_threads()}"]
        lines.append(f"    accelerator: {torch.accelerator.current_accelerator()}")
    (file or sys.stdout).write("\n".join(lines) + "\n")


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
