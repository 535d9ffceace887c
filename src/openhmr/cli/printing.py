"""What commands print: summaries for people and for machines."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openhmr.people import Frame, People

_FOCAL_FROM = {"given": "as given", "exif": "from the photo's EXIF data", "assumed": "assumed: 52 degrees"}


def printable(text: str) -> str:
    """``text`` with control characters as escapes: file names may hold codes that rule a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def summary(frame: "Frame", shown: "People", seconds: float, files: list[Path]) -> dict[str, Any]:
    """Numbers of one frame, as JSON takes them."""
    import numpy as np

    from openhmr.predict.certainty import guessed_parts, uncertain_mm

    camera, boxes, sigma = shown.camera, shown.keypoints.boxes, uncertain_mm(frame.people)
    out: dict[str, Any] = {
        "people": len(shown),
        "vertices": shown.vertices.shape[1],
        "image_size": list(camera.image_size),
        "focal_px": round(float(camera.K[0, 0]), 2),
        "focal_from": camera.source,
        "translation_m": shown.roots.round(4).tolist(),
        "reprojection_px": shown.reprojection_px().round(2).tolist(),
    }
    if frame.name is not None:
        out = {"name": frame.name} | out
    out["guessed"] = guessed_parts(frame.people)
    if boxes is not None:
        out["boxes"] = np.asarray(boxes).round(1).tolist()
    if np.isfinite(sigma).any():
        out["joints_sigma_mm"] = [round(float(s), 1) for s in sigma]
    return out | {"seconds": round(seconds, 3), "files": [str(file) for file in files]}


def listed(files: list[str], out: Path) -> str:
    """Names of ``files`` in ``out``; of folders in it, how many they hold."""
    below = [Path(file).relative_to(out) for file in files]
    folders = [file.parts[0] for file in below if len(file.parts) > 1]
    counts = [f"{name}/ ({folders.count(name)} files)" for name in dict.fromkeys(folders)]
    return ", ".join([str(file) for file in below if len(file.parts) == 1] + counts)


def print_summary(numbers: dict[str, Any], options: argparse.Namespace) -> None:
    """One line of JSON with ``--json``, else sentences."""
    print(json.dumps(numbers) if options.json else printable(_in_words(numbers)))


def _in_words(numbers: dict[str, Any]) -> str:
    lines = [
        f"person {i}: {t[2]:.2f} m away, joints off by {e:.1f} px (median)"
        + (f"; guesses: {', '.join(parts)}" if parts else "")
        for i, (t, e, parts) in enumerate(
            zip(numbers["translation_m"], numbers["reprojection_px"], numbers["guessed"], strict=True)
        )
    ]
    focal = f"focal length {numbers['focal_px']} px, {_FOCAL_FROM[numbers['focal_from']]}"
    lines.append(f"{numbers['people']} x {numbers['vertices']} vertices, {focal}; {numbers['seconds']} s")
    if "name" in numbers:
        lines.insert(0, f"{numbers['name']}:")
    names, out = [Path(file).name for file in numbers["files"]], Path(numbers["files"][0]).parent
    look = next((f for f in numbers["files"] if f.endswith("overlay.png")), None)
    lines.append((f"look at {look}; all files: " if look else f"wrote to {out}: ") + ", ".join(names))
    return "\n".join(lines)
