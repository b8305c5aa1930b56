"""What the pictures share: colours, and the import of matplotlib."""

BLUE, ORANGE, INK, GREY = "#2b6cb0", "#d9480f", "#1a202c", "#718096"


def import_pyplot(name):
    """Return pyplot, or say who needs it and how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{name}.plot needs matplotlib; install it with `pip install matplotlib`."
        ) from error
    return plt


def new_axes(name, ax, **size):
    """Return the axes given, or new ones, without the upper and right frame."""
    if ax is None:
        _, ax = import_pyplot(name).subplots(layout="constrained", **size)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax
