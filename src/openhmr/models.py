"""Models by name or by file: what a file is follows from its own metadata, never from its name."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.bodies.body import Body
    from openhmr.bodies.shipped import Side
    from openhmr.joints import JointSet
    from openhmr.predict.detect.hands import HandDetector
    from openhmr.predict.detect.movenet import MoveNet
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer


def available() -> dict[str, Path]:
    """Name -> ONNX file of each shipped model, in the order of names."""
    folder = Path(str(files("openhmr") / "assets" / "weights"))
    return {file.stem: file for file in sorted(folder.glob("*.onnx"))}


@overload
def load(  # type: ignore[overload-overlap]
    name: Literal["i2l-body"], body: "Body | None" = None, *, mirrored: bool = True
) -> "Recoverer": ...
@overload
def load(name: Literal["detector"], body: None = None) -> "MoveNet": ...
@overload
def load(name: Literal["hand_detector"], body: None = None) -> "HandDetector": ...
@overload
def load(
    name: "Literal['pose2mesh', 'pose2mesh-coco', 'pose2mesh-human36']", body: "Body | None" = None
) -> "Lifter": ...
@overload
def load(
    name: Literal["pose2mesh-mano"], body: "Body | None" = None, *, hand: "Side" = "right"
) -> "Lifter": ...
@overload
def load(
    name: str | Path,
    body: "Body | str | Path | None" = None,
    *,
    hand: "Side" = "right",
    mirrored: bool = True,
) -> "Lifter | Recoverer | MoveNet | HandDetector": ...
def load(
    name: str | Path,
    body: "Body | str | Path | None" = None,
    *,
    hand: "Side" = "right",
    mirrored: bool = True,
) -> "Lifter | Recoverer | MoveNet | HandDetector":
    """A model, ready to call: a shipped one by its name (:func:`available`), or an ONNX file of `openhmr lab
    export`.

    ``pose2mesh`` lifts poses of every skeleton of the body; ``pose2mesh-<joint set>`` is the same model,
    which takes plain arrays in that set's order, else in COCO's. ``pose2mesh-mano`` lifts right hands, and
    left ones where ``hand`` says so (:class:`~openhmr.predict.hand_lift.HandLifter`).
    ``body`` is the body that the model was trained on, as :class:`~openhmr.bodies.Body` or as a file of it
    (SMPL, MANO, or what `openhmr bodies convert` writes); by default the open body, for
    hands the open hand. A model that takes photos comes as a
    :class:`~openhmr.predict.recover.Recoverer`, one that takes 2D poses as a
    :class:`~openhmr.predict.lift.Lifter`; ``detector``, which belongs to no body, as a
    :class:`~openhmr.predict.detect.movenet.MoveNet`, and ``hand_detector`` as a
    :class:`~openhmr.predict.detect.hands.HandDetector`. Without ``mirrored`` a Recoverer sees each person
    once, not in the mirror too, in about half the time; other models take no notice. Raises
    :class:`InputError` for other names and files, and where model and body do not belong together.
    """
    if not isinstance(name, str | Path):
        raise InputError(f"a model is given as {type(name).__name__}; give its name, or the path of a file")
    path, joints = _shipped(str(name))
    if path is None:
        path = Path(name)
        if not path.is_file():
            raise InputError(
                f"there is no model {str(name)!r}; load one of {', '.join(available()) or 'none shipped'}, "
                f"pose2mesh-coco and the like for arrays of another joint set, or the path of an .onnx file"
            )
    from openhmr.bodies.body import Body
    from openhmr.bodies.readers import read_body
    from openhmr.bodies.shipped import open_body, open_hand
    from openhmr.joints import MANO
    from openhmr.predict.session import read_metadata

    metadata = read_metadata(path)
    kind = metadata.get("kind")
    if kind in ("detector", "hand_detector"):
        from openhmr.predict.detect.hands import HandDetector
        from openhmr.predict.detect.movenet import MoveNet

        found = "people" if kind == "detector" else "hands"
        if body is not None:
            raise InputError(f"{path} finds {found} in pictures and belongs to no body; leave the body out")
        return MoveNet(path) if kind == "detector" else HandDetector(path)
    of_hands = metadata.get("joint_set") == MANO.name
    if hand != "right" and (hand != "left" or not of_hands):
        raise InputError(
            f"hand is {hand!r} for {path}; it is left or right for models of {MANO.name} joints: leave it out"
        )
    if body is None:
        body = open_hand() if of_hands else open_body()
    elif not isinstance(body, Body):
        body = read_body(body)
    if kind is not None:
        from openhmr.predict.recover import Recoverer

        return Recoverer(path, body, mirrored=mirrored)
    if of_hands:
        from openhmr.predict.hand_lift import HandLifter

        return HandLifter(path, body, joints, hand)
    from openhmr.predict.lift import Lifter

    return Lifter(path, body, joints)


def _shipped(name: str) -> "tuple[Path | None, JointSet | None]":
    """The file of a shipped model, and the joint set that its name asks for."""
    from openhmr.joints import JOINT_SETS

    models = available()
    family, _, joints = name.partition("-")
    if name not in models and family == "pose2mesh" and joints in JOINT_SETS:
        return models.get(family), JOINT_SETS[joints]
    return models.get(name), None
