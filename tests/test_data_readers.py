"""What the recorded trees do not pin: edited copies of them, mirrored people, and damaged files."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel
from openhmr.joints import COCO18, HUMAN36_TOP, MUCO, SMPL29
from openhmr.lab.crops.i2l_meshnet import crop_square
from openhmr.lab.data.freihand import FreiHAND
from openhmr.lab.data.human36m import Human36M
from openhmr.lab.data.mscoco import MSCOCO
from openhmr.lab.data.muco import MuCo
from openhmr.lab.data.pw3d import PW3D
from openhmr.lab.data.regressors import add
from openhmr.lab.data.types import Sample
from openhmr.lab.items.i2l_augmentation import Augmentation
from openhmr.lab.items.i2l_meshnet import I2LItems, InputQuirks, Preparation
from tests.conftest import make_tiny_body
from tests.test_data_recorded import MINI, smpl, stand_in_regressor  # noqa: F401 (fixture)
from tests.test_skinning import synthetic_body

MIRRORED = Augmentation(flip=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(MINI, tmp_path / "data")
    return tmp_path / "data"


def edit(path: Path, change: Callable) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def tiny() -> Body:
    """42 vertices with the joint regressors that fits are checked with, and a ``coco`` that begins with the
    face."""
    return make_tiny_body()


def fitted(body: Body, joint_set=HUMAN36_TOP, seed: int = 0) -> Sample:
    """A sample whose annotated joints are exactly those of its fit."""
    rng = np.random.default_rng(seed)
    pose, betas = (rng.normal(size=(24, 3)) * 0.3).astype(np.float32), rng.normal(size=10).astype(np.float32)
    trans, focal, principal = np.float32([0.3, -0.1, 4]), np.array([300.0, 310]), np.array([148.0, 121])
    mesh, _ = skin(body, pose, betas, trans)
    own = body.joint_regressor("human36") @ mesh
    has_3d, size = joint_set != COCO18, joint_set.size
    if has_3d:
        joints = rng.normal(size=(size, 3)) * 0.1 + (0, 0, 4)
        for i, name in enumerate(joint_set.names):
            if name in HUMAN36_TOP.names:
                joints[i] = own[HUMAN36_TOP.names.index(name)]
    else:
        coco = body.joint_regressors["coco"] @ mesh
        joints = np.concatenate([coco, coco[[11, 12]].mean(0, keepdims=True)])
    pixels = cam2pixel(joints, focal, principal)[:, :2]
    return Sample(
        "synthetic",
        0,
        MINI / "Human36M/images/s_01/s_01_000000_4.png",
        (240, 300),
        np.array([90.0, 20, 150, 200]),
        np.array([60.0, 10, 230, 230]),
        focal,
        principal,
        4.0,
        joint_set,
        pixels,
        joints if has_3d else joints * 0,
        np.ones(size, np.float32),
        has_3d,
        pose,
        betas,
        trans,
        True,
    )


@pytest.mark.parametrize("joint_set", [HUMAN36_TOP, MUCO], ids=lambda s: s.name)
def test_fit_check_in_3d(joint_set) -> None:
    body = tiny()
    sample, preparation = fitted(body, joint_set), Preparation("body", body)
    matched = [i for i, n in enumerate(joint_set.names) if n in HUMAN36_TOP.names]

    def valid(sample: Sample, augmentation: Augmentation = Augmentation()) -> bool:
        return bool(preparation.train(sample, augmentation)[2]["is_valid_fit"])

    assert valid(sample)
    # The mean position is taken out, not the root's: a root that is 100 mm off costs itself, and all others a
    # little.
    far = sample.joints_cam_m.copy()
    far[joint_set.root, 1] += 0.1
    assert valid(replace(sample, joints_cam_m=far))
    # Joints without a namesake do not count at all.
    free = sample.joints_cam_m.copy()
    free[[i for i in range(joint_set.size) if i not in matched]] += 3
    assert valid(replace(sample, joints_cam_m=free))
    for millimetres, expected in ((24, True), (26, False)):
        # Half of the joints to one side, half to the other: the mean stays, every joint is off.
        off = sample.joints_cam_m.copy()
        pair = matched[: len(matched) // 2 * 2]
        off[pair, 2] += np.resize([1, -1], len(pair)) * millimetres / 1000 * len(matched) / len(pair)
        assert valid(replace(sample, joints_cam_m=off)) is expected


def test_mirrored_person_is_the_mirrored_picture() -> None:
    """On a symmetric body a mirrored fit passes the check, and its joints lie where those of the mirrored
    picture do."""
    body = symmetric_body()
    # With the principal point in the middle, mirroring about the picture's middle column is exact.
    sample = replace(fitted(body), principal_px=np.array([149.5, 121.0]))
    sample = replace(
        sample, joints_px=cam2pixel(sample.joints_cam_m, sample.focal_px, sample.principal_px)[:, :2]
    )
    preparation = Preparation("body", body)
    plain, mirrored = (preparation.train(sample, a) for a in (Augmentation(), MIRRORED))
    assert plain[2]["is_valid_fit"] == mirrored[2]["is_valid_fit"] == 1
    np.testing.assert_allclose(mirrored[0]["img"][:, :, 1:], plain[0]["img"][:, :, :0:-1], atol=2e-2)
    for name in ("orig_joint_img", "fit_joint_img"):
        expected = plain[1][name].copy()
        present = expected.any(1)
        expected[:, 0] = 64 - expected[:, 0]
        found = mirrored[1][name][SMPL29.flip_permutation]
        np.testing.assert_allclose(found[present], expected[present], atol=2e-3, err_msg=name)
    np.testing.assert_allclose(
        mirrored[1]["fit_joint_cam"][SMPL29.flip_permutation] * (-1, 1, 1),
        plain[1]["fit_joint_cam"],
        atol=1e-5,
    )


def symmetric_body() -> Body:
    """The tiny body made mirror-symmetric in x: every array is averaged with its reflection."""
    body = tiny()
    vertices = body.v_template
    twin = np.array([int(np.argmin(np.linalg.norm(vertices * (-1, 1, 1) - v, axis=1))) for v in vertices])
    from openhmr.joints import HUMAN36, SMPL
    from openhmr.joints.coco import COCO17

    def both(matrix, swap):
        return (matrix + matrix[swap][:, twin]) / 2

    sides = [
        COCO17.index({"L": "R", "R": "L"}[n[0]] + n[1:]) if n[:2] in ("L_", "R_") else i
        for i, n in enumerate(COCO17)
    ]
    regressors = {
        "human36": both(body.joint_regressor("human36"), HUMAN36.flip_permutation),
        "coco": both(body.joint_regressors["coco"], np.array(sides)),
    }
    swap = SMPL.flip_permutation
    directions = np.moveaxis(body.shapedirs, -1, 0)
    shapes = np.moveaxis((directions + directions[:, twin] * (-1, 1, 1)) / 2, 0, -1)
    weights = (body.weights + body.weights[twin][:, swap]) / 2
    return replace(
        body,
        joint_regressors=regressors,
        shapedirs=shapes,
        weights=weights,
        J_regressor=both(body.J_regressor, swap),
        posedirs=np.zeros((42, 3, 0)),
        levels={},
    )


@pytest.mark.parametrize(("lixels", "expected"), [(2.5, True), (3.5, False)])
def test_fit_check_in_the_picture(lixels: float, expected: bool) -> None:
    """Three lixels is the limit; officially the pelvis has the product of the hips' depths and is projected
    with that."""
    body = tiny()
    sample = fitted(body, COCO18)
    # Joints off by a distance in lixels: 230 px are 64 of them.
    shifted = replace(sample, joints_px=sample.joints_px + np.array([lixels * 230 / 64, 0]))
    preparation = Preparation("body", body, quirks=InputQuirks(coco_pelvis_product=False))
    _, targets, meta = preparation.train(shifted, Augmentation())
    assert bool(meta["is_valid_fit"]) is expected and meta["is_3D"] == 0
    assert not targets["orig_joint_img"][:, 2].any() and not targets["orig_joint_cam"].any()
    # At four metres the product of two depths is far from their mean, and the pelvis far from its place.
    official = Preparation("body", body)
    nearly = replace(sample, joints_px=sample.joints_px + np.array([2.9 * 230 / 64, 0]))
    invisible = replace(nearly, joints_valid=np.where(np.arange(18) == 17, 0, 1).astype(np.float32))
    assert bool(official.train(invisible, Augmentation())[2]["is_valid_fit"])
    assert not official.train(
        replace(nearly, joints_valid=(np.arange(18) == 17).astype(np.float32)), Augmentation()
    )[2]["is_valid_fit"]


def test_boxes_over_the_border() -> None:
    """A person half out of the picture: the original looks further into the picture than where the person
    is."""
    box = np.array([-80.0, 20, 161, 161])
    sample = replace(fitted(tiny()), box_xywh=box, crop_xywh=crop_square(box, (240, 300)))
    quirks = InputQuirks(), InputQuirks(shift_boxes=False)
    official, cut = (
        Preparation("body", tiny(), quirks=q).train(sample, Augmentation())[1]["orig_joint_img"]
        for q in quirks
    )
    # Both squares have 200 px; their centres lie at x = 40 and x = 80.
    np.testing.assert_allclose((cut - official)[0], [40 / 200 * 64, 0, 0], atol=1e-3)
    outside = replace(sample, box_xywh=np.array([-80.0, 20, 50, 161]))
    Preparation("body", tiny(), quirks=quirks[1]).train(outside, Augmentation())


def test_large_shapes() -> None:
    sample = replace(fitted(tiny()), betas=np.float32([3.5, *[0] * 9]))
    quirks = InputQuirks(), InputQuirks(zero_large_betas=False)
    official, kept = (Preparation("body", tiny(), quirks=q).train(sample, Augmentation())[1] for q in quirks)
    assert not official["shape_param"].any() and kept["shape_param"][0] == np.float32(3.5)
    np.testing.assert_array_equal(official["fit_mesh_img"], kept["fit_mesh_img"])


def test_hand_joints_can_be_used() -> None:
    body, samples = synthetic_body(True), FreiHAND(MINI / "FreiHAND", "train")
    official = Preparation("hand", body).train(samples[0], Augmentation())
    used = Preparation("hand", body, quirks=InputQuirks(ignore_hand_joints=False)).train(
        samples[0], Augmentation()
    )
    assert not official[2]["orig_joint_valid"].any() and not official[1]["orig_joint_img"].any()
    assert used[2]["orig_joint_valid"].all() and used[1]["orig_joint_img"][0, 2] == 32
    with pytest.raises(InputError, match="right"):
        Preparation("hand", body).train(samples[0], MIRRORED)


def test_items_draw_from_their_generators(smpl: Body) -> None:
    import random

    items = I2LItems(Human36M(MINI / "Human36M", "train", smpl), Preparation("body", smpl))
    first, again, other = (items.item(0, np.random.RandomState(s), random.Random(s)) for s in (1, 1, 2))
    assert (
        len(items) == 7
        and all(np.array_equal(first[k], again[k]) for k in first)
        and not np.array_equal(first["img"], other["img"])
    )
    assert all(isinstance(v, np.ndarray) and v.dtype == np.float32 for v in first.values())


def test_empty_boxes_are_skipped(tree: Path, smpl: Body) -> None:
    edit(
        tree / "Human36M/annotations/Human36M_subject5_data.json",
        lambda c: c["annotations"][0].update(bbox=[10, 10, 0, 50]),
    )
    edit(
        tree / "MSCOCO/annotations/person_keypoints_train2017.json",
        lambda c: c["annotations"][0].update(bbox=[500, 10, 20, 50]),
    )
    edit(
        tree / "FreiHAND/data/freihand_train_coco.json",
        lambda c: c["annotations"][0].update(bbox=[0, 0, -5, 5]),
    )
    assert len(Human36M(tree / "Human36M", "train", smpl)) == 6
    assert len(MSCOCO(tree / "MSCOCO", "train")) == 3 and len(FreiHAND(tree / "FreiHAND", "train")) == 2


def test_annotated_boxes_and_depths_instead_of_rootnets(tree: Path, smpl: Body) -> None:
    shutil.rmtree(tree / "Human36M" / "rootnet_output")
    for sample in Human36M(tree / "Human36M", "test", smpl, use_gt_info=True):
        assert (
            sample.root_depth_m == pytest.approx(sample.joints_cam_m[0, 2])
            and sample.crop_xywh[2] == 149 * 1.25
        )
    (sample, *_) = PW3D(tree / "PW3D", dict.fromkeys(("neutral", "male", "female"), smpl), use_gt_info=True)
    mesh, _ = skin(smpl, sample.pose, sample.betas, sample.trans_m)
    assert sample.root_depth_m == pytest.approx(float((smpl.joint_regressor("human36")[0] @ mesh)[2]))


def test_nearest_person(tree: Path) -> None:
    def swap(content: dict) -> None:
        pairs = [a for a in content["annotations"] if a["image_id"] == content["annotations"][0]["image_id"]]
        for a in pairs:
            a["keypoints_cam"][14][2] = 5000.0 - a["id"]
        content["annotations"].append({**pairs[0], "id": 999, "keypoints_cam": [[0, 0, 100.0]] * 21})

    edit(tree / "MuCo/data/MuCo-3DHP.json", swap)
    sample = MuCo(tree / "MuCo")[0]
    assert sample.sample_id == 999 and not sample.has_fit and sample.root_depth_m == 0.1


def bodies(smpl: Body) -> dict[str, Callable[[Path], list]]:
    return {
        "Human36M": lambda root: list(Human36M(root, "train", smpl)),
        "MuCo": lambda root: list(MuCo(root)),
        "MSCOCO": lambda root: list(MSCOCO(root, "train")),
        "PW3D": lambda root: list(PW3D(root, dict.fromkeys(("neutral", "male", "female"), smpl))),
        "FreiHAND": lambda root: list(FreiHAND(root, "train")),
    }


MAIN = {
    "Human36M": "annotations/Human36M_subject1_data.json",
    "MuCo": "data/MuCo-3DHP.json",
    "MSCOCO": "annotations/person_keypoints_train2017.json",
    "PW3D": "data/3DPW_test.json",
    "FreiHAND": "data/freihand_train_coco.json",
}


@pytest.mark.parametrize("name", MAIN)
def test_damaged_annotations(tree: Path, smpl: Body, name: str) -> None:
    read, file = bodies(smpl)[name], tree / name / MAIN[name]
    assert read(tree / name)
    good = file.read_text()
    with pytest.raises(InputError, match="root"):
        read(tree)
    damages = {
        "complete JSON": good[: len(good) // 2],
        "no 'annotations'": json.dumps({"images": []}),
        "whole number as id": json.dumps({"images": [1], "annotations": []}),
        "no 'images'": "[1, 2]",
    }
    for message, content in damages.items():
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            read(tree / name)
    edits = {
        "not finite": lambda c: c["annotations"][0].update(bbox=[0, 0, float("nan"), 5]),
        "shape": lambda c: c["annotations"][0].update(bbox=[1, 2, 3]),
        "no 'bbox'": lambda c: c["annotations"][0].pop("bbox"),
        "numbers": lambda c: c["annotations"][0].update(bbox="box"),
        "not listed": lambda c: c["annotations"][0].update(image_id=12345),
        "pixels": lambda c: [i.update(width="wide") for i in c["images"]],
    }
    for message, change in edits.items():
        file.write_text(good)
        edit(file, change)
        with pytest.raises(InputError, match=message):
            read(tree / name)


def test_damaged_parameters(tree: Path, smpl: Body) -> None:
    edit(
        tree / "MuCo/data/smpl_param.json",
        lambda c: [fit["pose"].__setitem__(3, float("nan")) for fit in c.values()],
    )
    with pytest.raises(InputError, match=r"MuCo annotation .*: pose holds numbers that are not finite"):
        list(MuCo(tree / "MuCo"))
    edit(tree / "PW3D/rootnet_output/bbox_root_pw3d_output.json", lambda c: c.pop())
    with pytest.raises(InputError, match="nothing on number 2"):
        list(PW3D(tree / "PW3D", dict.fromkeys(("neutral", "male", "female"), smpl)))
    with pytest.raises(InputError, match="SMPL body"):
        list(PW3D(MINI / "PW3D", {}))


def test_wrong_pictures(tree: Path, smpl: Body) -> None:
    samples, preparation = Human36M(tree / "Human36M", "train", smpl), Preparation("body", smpl)
    sample = samples[0]
    with pytest.raises(InputError, match="annotation says"):
        preparation.train(replace(sample, image_hw=(100, 100)), Augmentation())
    sample.image_path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        preparation.test(sample)


def test_regressors(tmp_path: Path, smpl: Body) -> None:
    body = replace(smpl, joint_regressors={})
    with pytest.raises(InputError, match=r"regressors\.add"):
        Preparation("body", body).train(Human36M(MINI / "Human36M", "train", body)[0], Augmentation())
    matrix = stand_in_regressor(401).astype(np.float64)
    np.save(tmp_path / "good.npy", matrix)
    assert np.array_equal(
        add(body, human36=tmp_path / "good.npy").joint_regressor("human36"), smpl.joint_regressor("human36")
    )
    for message, wrong in (
        ("belongs", matrix[:, :100]),
        ("finite", matrix * np.nan),
        ("shape", matrix.astype(int)),
    ):
        np.save(tmp_path / "bad.npy", wrong)
        with pytest.raises(InputError, match=message):
            add(body, human36=tmp_path / "bad.npy")
    with pytest.raises(InputError, match="unknown"):
        add(body, smpl=tmp_path / "good.npy")
