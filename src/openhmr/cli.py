"""The command line: names to objects, errors to one sentence and exit code 2; nothing else."""

import argparse
import json
import logging
import sys
from pathlib import Path

from openhmr.errors import InputError

LIFT_EXAMPLES = """examples:
  openhmr lift pose.npy --joints coco --out out/                     17 COCO keypoints (x, y, confidence)
  openhmr lift keypoints.json --joints coco --image photo.jpg --out out/
  openhmr lift h36m.npy --joints human36 --focal 1145 --out out/

writes mesh.obj, mesh.glb, result.npz, pose2d.png and overlay.png into the output folder.
"""


def lift(args: argparse.Namespace) -> int:
    import openhmr
    from openhmr.export.glb import write_glb
    from openhmr.export.obj import write_obj
    from openhmr.io.images import read_image, write_png
    from openhmr.io.pose2d import read_pose2d
    from openhmr.render.overlay import overlay_picture, pose_picture

    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder (it is made if it does not exist)")
    pose = read_pose2d(args.pose, args.image_id)
    image = read_image(args.image) if args.image else None
    lifter = openhmr.load(f"pose2mesh-{args.joints}")
    result = lifter(pose, image.shape[:2] if image is not None else None, args.focal)
    pictures = {"pose2d.png": pose_picture(result, lifter.joint_set, image), "overlay.png": overlay_picture(result, image)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            write_png(out / name, picture)
        write_obj(out / "mesh.obj", result.vertices, result.faces)
        write_glb(out / "mesh.glb", result.vertices, result.faces)
        result.save_npz(out / "result.npz")
    except OSError as error:
        raise InputError(f"cannot write into {out} ({error.strerror}); choose another folder with --out") from None
    summary = {
        "people": len(result.vertices),
        "vertices": result.vertices.shape[1],
        "distance_m": [round(float(t[2]), 3) for t in result.translation],
        "focal_px": round(float(result.K[0, 0]), 1),
        "reprojection_px": [round(float(e), 2) for e in result.reprojection_error()],
        "files": [str(out / name) for name in (*pictures, "mesh.obj", "mesh.glb", "result.npz")],
    }
    if args.json:
        print(json.dumps(summary))
    else:
        for i, (d, e) in enumerate(zip(summary["distance_m"], summary["reprojection_px"], strict=True)):  # type: ignore[arg-type]
            print(f"person {i}: {d:.2f} m away, joints fit within {e:.1f} px on average")
        print(f"wrote {', '.join(Path(f).name for f in summary['files'])} to {out}/")  # type: ignore[attr-defined]
    return 0


def convert_body(args: argparse.Namespace) -> int:
    from openhmr.bodies.readers import convert

    body = convert(args.source, args.target)
    print(f"wrote {args.target}: {body.num_vertices} vertices, {body.num_joints} joints, {body.num_betas} betas")
    return 0


def parser() -> argparse.ArgumentParser:
    from openhmr import __version__

    top = argparse.ArgumentParser(prog="openhmr", description="Open human mesh recovery: a 3D body mesh from a 2D pose.")
    top.add_argument("--version", action="version", version=f"openhmr {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    one = commands.add_parser("lift", help="2D pose -> mesh", epilog=LIFT_EXAMPLES, formatter_class=raw)
    one.add_argument("pose", metavar="POSE", help=".npy array (J, 2|3) or (people, J, 2|3), or COCO keypoint JSON")
    one.add_argument("--joints", default="coco", choices=("coco", "human36"), help="joint set of the pose (default: coco)")
    one.add_argument("--image", help="the picture the pose was found in; drawn under the mesh")
    one.add_argument("--image-id", help="which picture's poses to take from a JSON file with several")
    one.add_argument("--focal", type=float, metavar="PX", help="focal length in pixels (default: estimated from the picture's size)")
    one.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    one.add_argument("--json", action="store_true", help="print a machine-readable summary")
    one.set_defaults(run=lift)
    bodies = commands.add_parser("bodies", help="body model files").add_subparsers(metavar="COMMAND", required=True)
    convert = bodies.add_parser("convert", help="SMPL or MANO file (.pkl, .npz) -> openhmr .npz; nothing in the file is executed")
    convert.add_argument("source", metavar="IN")
    convert.add_argument("target", metavar="OUT.npz")
    convert.set_defaults(run=convert_body)
    commands.add_parser("lab", help="train, test, bake (needs the train extra)", add_help=False)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if argv[:1] == ["lab"]:
            try:
                from openhmr.lab.cli import main as lab
            except ImportError as error:
                raise InputError(f"the laboratory needs the package {error.name}; install it with pip install 'openhmr[train]'") from None
            return lab(argv[1:])
        args = parser().parse_args(argv)
        return int(args.run(args))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
