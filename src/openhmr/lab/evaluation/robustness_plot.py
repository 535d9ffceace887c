"""Small panels: error and uncertainty over the strength of each degradation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openhmr.io.atomic import atomic_path
from openhmr.lab.evaluation.degradations import SWEEPS, Sweep

COLOURS = ("tab:blue", "tab:green", "tab:orange", "tab:red")
PANELS = 4
"""Sweeps in a row of the picture."""
FEW = 80
"""Per cent of the pictures below which a point is drawn hollow: the rest were not found."""


def plot(
    rows: Sequence[Mapping[str, Any]], path: Path, title: str, sweeps: Mapping[str, Sweep] = SWEEPS
) -> None:
    """Draw the rows of :func:`~openhmr.lab.evaluation.robustness.measure` as PNG: above MPJPE (lines) and
    PA-MPJPE (dashed), below the expected error, and for a method without one how little it sees."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    names = [n for n in sweeps if any(r["degradation"] == n for r in rows)]
    methods = list(dict.fromkeys(str(r["method"]) for r in rows))
    colours = dict(zip(methods, COLOURS, strict=False))
    blocks = -(-len(names) // PANELS)
    figure, axes = pyplot.subplots(2 * blocks, PANELS, figsize=(13, 5 * blocks), squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for k, name in enumerate(names):
        error, sigma = (axes[2 * (k // PANELS) + i, k % PANELS] for i in (0, 1))
        unseen = sigma.twinx()
        for method in methods:
            own = [r for r in rows if r["degradation"] == name and r["method"] == method]
            colour = colours[method]
            _line(error, own, "MPJPE", colour, "-")
            _line(error, own, "PA-MPJPE", colour, "--")
            _line(sigma, own, "sigma", colour, "-")
            _line(sigma, own, "sigma outside", colour, ":")
            _line(unseen, own, "visibility", colour, "-.")
        error.set_title(sweeps[name].title, fontsize=8.5)
        first = k % PANELS == 0
        error.set_ylabel("error, mm" if first else "")
        sigma.set_ylabel("expected error, mm" if first else "")
        unseen.set_ylabel("1 - visibility" if k % PANELS == PANELS - 1 or k == len(names) - 1 else "")
        unseen.set_ylim(0, max(0.3, 1.1 * _top(unseen)))
        unseen.tick_params(labelsize=7)
        for axis in (error, sigma):
            axis.set_visible(True)
            axis.set_ylim(0, 1.1 * max(_top(axis), 1))
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=8)
    styles: dict[str, Any] = {
        "MPJPE; expected error": "-",
        "PA-MPJPE": "--",
        "expected error outside of the picture": ":",
        "1 - visibility": "-.",
    }
    legend = [Line2D([], [], color=c, label=m, linewidth=2) for m, c in colours.items()]
    legend += [Line2D([], [], color="black", linestyle=style, label=label) for label, style in styles.items()]
    legend.append(
        Line2D([], [], color="black", marker="o", mfc="white", ls="", label=f"found in less than {FEW} %")
    )
    figure.legend(handles=legend, loc="lower center", ncol=4, fontsize=8.5, frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout(rect=(0, 0.11 / blocks, 1, 0.99))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png", pil_kwargs={"optimize": True})
    pyplot.close(figure)


def _top(axis: Any) -> float:
    """The largest number that is drawn; 0 where nothing is."""
    return max((float(max(line.get_ydata(), default=0)) for line in axis.lines), default=0.0)


def _line(axis: Any, rows: Sequence[Mapping[str, Any]], column: str, colour: str, style: str) -> None:
    """One line; strengths stand side by side, whatever they are."""
    told = [(i, r) for i, r in enumerate(rows) if r[column] != ""]
    axis.set_xticks(range(len(rows)), [str(r["strength"]) for r in rows])
    values = [1 - r[column] if column == "visibility" else r[column] for _, r in told]
    axis.plot([i for i, _ in told], values, color=colour, linestyle=style, linewidth=1.4)
    for (i, row), value in zip(told, values, strict=True):
        face = colour if row["found %"] >= FEW else "white"
        axis.plot([i], [value], "o", color=colour, markerfacecolor=face, markersize=4)
