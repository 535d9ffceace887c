"""``metrics.jsonl``: one row an evaluation; and the curves drawn from it."""

import json
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def append_metrics(folder: Path, row: dict[str, float]) -> None:
    """Add a row."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The rows, except those that a killed process left unfinished."""
    file, rows = folder / "metrics.jsonl", []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            log.warning("%s has a line that cannot be read: %.40r", file, line)
    return rows


def plot_metrics(folder: Path) -> None:
    """Draw every column against the step into ``metrics.png``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_metrics(folder)
    names = [k for k in rows[-1] if k not in ("step", "seconds")]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3 * len(names), 2.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot([r["step"] for r in rows if name in r], [r[name] for r in rows if name in r])
        axis.set_title(name, fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "metrics.png", dpi=80)
    pyplot.close(figure)
