"""``openhmr skeletons``: what skeletons are known, and where their joints lie."""

import argparse
import json
from pathlib import Path
from typing import Any

from openhmr.errors import InputError

_EXAMPLES = """examples:
  openhmr skeletons
  openhmr skeletons halpe26
  openhmr skeletons halpe26 --out halpe26.png
  openhmr skeletons body25 --json"""


def add_command(commands: Any) -> None:
    skeletons = commands.add_parser(
        "skeletons",
        help="list the skeletons of detectors and data sets",
        description="List the known skeletons, or the joints of one.",
        epilog=_EXAMPLES,
    )
    skeletons.add_argument("name", nargs="?", metavar="NAME", help="list the joints of this one")
    skeletons.add_argument("--json", action="store_true", help="print them machine-readable")
    skeletons.add_argument("--out", type=Path, metavar="PNG", help="draw its joints with their names, too")
    skeletons.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.joints import JOINT_SETS

    if options.name is None:
        if options.out is not None:
            raise InputError("--out draws one skeleton; add its name, such as halpe26")
        rows = [_facts(name) for name in JOINT_SETS]
        print(json.dumps(rows) if options.json else _table(rows, ("name", "joints", "from")))
        return
    facts = _facts(options.name) | {"joints": _joints(options.name)}
    if options.out is not None:
        _draw(options.name, options.out)
    columns = ("index", "name", "where")
    print(json.dumps(facts) if options.json else f"{facts['from']}\n{_table(facts['joints'], columns)}")


def _facts(name: str) -> dict[str, Any]:
    from openhmr.joints import ORIGINS, get_joint_set

    joint_set = get_joint_set(name)
    return {
        "name": name,
        "joints": len(joint_set.base),
        "from": ORIGINS[name],
        "derived": list(joint_set.derived),
        "bones": [list(bone) for bone in joint_set.skeleton],
    }


def _joints(name: str) -> list[dict[str, Any]]:
    """Each joint with the point of the body that it is; a hand's are none."""
    from openhmr.joints import POINT_DESCRIPTIONS, get_joint_set

    joint_set, out = get_joint_set(name), []
    for index, joint in enumerate(joint_set.names):
        point = joint_set.points.get(joint, joint)
        where = POINT_DESCRIPTIONS.get(point, "")
        if joint in joint_set.derived:
            where += "; may be left out"
        out.append({"index": index, "name": joint, "point": point, "where": where})
    return out


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    texts = [[str(row[column]) for column in columns] for row in rows]
    widths = [max(len(text[i]) for text in texts) for i in range(len(columns) - 1)]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(text, [*widths, 0], strict=True)).rstrip()
        for text in texts
    )


def _draw(name: str, path: Path) -> None:
    from openhmr.bodies.shipped import open_body
    from openhmr.io.images import write_png
    from openhmr.joints import get_joint_set, has_points
    from openhmr.render.chart import skeleton_chart

    if path.suffix.lower() != ".png":
        raise InputError(f"{path} is no name of a picture that can be written; end it with .png")
    if not has_points(get_joint_set(name)):
        raise InputError(f"{name} is the skeleton of a hand, which is not drawn; choose one of a body")
    write_png(path, skeleton_chart(get_joint_set(name), open_body()))
