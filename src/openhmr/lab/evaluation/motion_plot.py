"""The path of one joint over time, as it was and as each method has it."""

from pathlib import Path

from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO
from openhmr.lab.evaluation.motion_errors import FEET, Compared, Truth, body_points

COLOURS = {"raw": "tab:red", "One-Euro": "tab:orange", "zero-phase": "tab:blue"}
FRAMES = 90
WRIST = COCO.names.index("R_Wrist")


def plot_paths(compared: Compared, truth: Truth, path: Path) -> None:
    """Draw, as PNG, the height of a wrist over the root, and how far an ankle is away, in millimetres."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True)
    rows = slice(0, min(FRAMES, len(truth.joints)))
    paths = {name: body_points(rig, compared.body)[0] for name, rig in compared.rigs.items()}
    # The true path lies above all others, whose error is to be seen.
    for name, joints in (*paths.items(), ("truth", truth.joints)):
        style = {"color": COLOURS.get(name, "black"), "linewidth": 2.0 if name != "raw" else 1.0}
        if name == "truth":
            style |= {"linewidth": 1.2, "linestyle": "--"}
        scale = truth.joints[:, COCO.root, 2].mean() / joints[:, COCO.root, 2].mean()
        wrist = -(joints[rows, WRIST] - joints[rows, COCO.root])[:, 1]
        above.plot(1000 * wrist, label=name, **style)
        below.plot(1000 * scale * joints[rows, FEET[0], 2], label=name, **style)
    above.set_ylabel("right wrist above the pelvis, mm")
    below.set_ylabel("left ankle's distance, mm")
    below.set_xlabel("frame (30 a second)")
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=4, fontsize=9, frameon=False)
    for axis in (above, below):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png", pil_kwargs={"optimize": True})
    pyplot.close(figure)
