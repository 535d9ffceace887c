"""Pose2Mesh's data sets on miniature trees: every value against the body it was made from."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joints21
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet
from openhmr.lab.data.amass import AMASS, CAMERAS
from openhmr.lab.data.freihand import FreiHANDPoses
from openhmr.lab.data.human36m import Human36MPoses
from openhmr.lab.data.mscoco import CocoDataset
from openhmr.lab.data.muco import MuCoPoses
from openhmr.lab.data.pw3d import PW3DPoses
from openhmr.lab.data.surreal import SURREAL
from openhmr.lab.items.fit_errors import MUCO_ROWS, centred_error, muco_error, pixel_error
from openhmr.lab.items.pose2mesh import PoseItems, PoseQuirks
from tests import pose_trees as trees
from tests.conftest import make_tiny_body
from tests.test_skinning import synthetic_body

BODY = make_tiny_body()


def standard(pixels: np.ndarray) -> np.ndarray:
    """Crop and division cancel: the standardised pose is that of the raw pixels."""
    return (pixels - pixels.mean(0)) / pixels.std(0)


def get(items: PoseItems, index: int, seed: int = 0) -> dict[str, np.ndarray]:
    return items.item(index, np.random.RandomState(seed), random.Random(seed))


def clean(samples, joint_set: JointSet, body: Body = BODY, **more) -> PoseItems:
    return PoseItems(
        samples, joint_set, body, {"neutral": body, "male": body, "female": body}, use_gt_input=True, **more
    )


def check(
    item: dict,
    mesh: np.ndarray,
    root: np.ndarray,
    joints: np.ndarray,
    lift: np.ndarray,
    pixels: np.ndarray,
    valid=(1, 1, 1),
) -> None:
    """All of an item against metres in the camera."""
    np.testing.assert_allclose(item["mesh"], mesh - root, atol=2e-5)
    np.testing.assert_allclose(item["reg_pose3d"], (joints - root) * 1000, atol=2e-2)
    np.testing.assert_allclose(item["lift_pose3d"], lift * 1000, atol=2e-2)
    np.testing.assert_allclose(item["pose2d"], standard(pixels), atol=1e-3)
    assert all(a.dtype == np.float32 for a in item.values())
    for name, value in zip(("mesh_valid", "reg_pose3d_valid", "lift_pose3d_valid"), valid, strict=True):
        assert item[name].shape == (len(item[name.removesuffix("_valid")]), 1) and np.all(item[name] == value)


def in_camera(person: trees.Person) -> np.ndarray:
    """The body skinned in the world, then carried to the camera vertex by vertex."""
    return person.mesh(BODY) @ trees.R.T + trees.T_MM / 1000


@pytest.mark.parametrize("joint_set", [HUMAN36, COCO])
def test_human36m(tmp_path: Path, joint_set: JointSet) -> None:
    people = trees.human36m(tmp_path, BODY, {5: 30.0, 15: 20.0})
    samples = Human36MPoses(tmp_path, "train", BODY)
    assert [int(s.image_path.stem[-6:]) for s in samples] == [0, 5, 15]
    items = clean(samples, joint_set)
    for i, frame in enumerate((0, 5, 15)):
        mesh = in_camera(people[1000 + frame])
        shift = (
            np.where(np.arange(17)[:, None] % 2, 1, -1)
            * {5: 30.0, 15: 20.0}.get(frame, 0)
            / 1000
            * trees.R[:, 0]
        )
        joints = BODY.joint_regressor("human36") @ mesh + shift
        coco = COCO.complete(BODY.joint_regressors["coco"] @ mesh)
        source = joints if joint_set == HUMAN36 else coco
        valid = (1, 1, 1) if frame != 5 else (0, 1, int(joint_set == HUMAN36))
        item = get(items, i)
        check(item, mesh, joints[0], joints, source - source[joint_set.root], trees.project(source), valid)
        assert items.tag(i).endswith(f"act_02_subact_01_ca_01_{frame:06d}.jpg")


def test_human36m_large_shape_is_forgotten(tmp_path: Path) -> None:
    people = trees.human36m(tmp_path, BODY)
    path = tmp_path / "annotations" / "Human36M_subject1_smpl_param.json"
    person = people[1000]
    trees.write(path, {"2": {"1": {"0": person.record(shape=[3.5, *person.shape[1:]])}}})
    item = get(clean(Human36MPoses(tmp_path, "train", BODY), HUMAN36), 0)
    mesh = in_camera(replace(person, shape=np.zeros(10)))
    root = (BODY.joint_regressor("human36") @ in_camera(person))[0]
    np.testing.assert_allclose(item["mesh"], mesh - root, atol=2e-5)


def test_human36m_detections(tmp_path: Path) -> None:
    trees.human36m(tmp_path, BODY)

    def found(f):
        return np.arange(34).reshape(17, 2) ** 1.5 + f

    samples = Human36MPoses(tmp_path, "test", BODY)
    # Frame 50 has no fit, so it is neither a sample nor one of the detections.
    assert [int(s.image_path.stem[-6:]) for s in samples] == [0, 100]
    np.testing.assert_array_equal(samples[1].detected_px, found(100))
    item = get(PoseItems(samples, HUMAN36, BODY, train=False), 1)
    np.testing.assert_allclose(item["pose2d"], standard(found(100)), atol=1e-4)
    with pytest.raises(InputError, match="use_gt_input"):
        get(PoseItems(samples, COCO, BODY, train=False), 1)
    # One detection more at the front: positions are off by one without a word, names are not.
    name = "s_09_act_02_subact_01_ca_01_{:06d}.jpg"
    extra = {name.format(f): found(f) for f in (0, 50, 100)} | {"s_08_more.jpg": found(7)}
    trees.write(tmp_path / "absnet_output_on_testset.json", extra)
    np.testing.assert_array_equal(Human36MPoses(tmp_path, "test", BODY)[1].detected_px, found(0))
    np.testing.assert_array_equal(
        Human36MPoses(tmp_path, "test", BODY, by_position=False)[1].detected_px, found(100)
    )
    # Only the noise, which tests do not have, and rounding could tell the box of the truth from that of the
    # detection.
    own = PoseItems(samples, HUMAN36, BODY, train=False, quirks=PoseQuirks(truth_box=False))
    np.testing.assert_allclose(get(own, 1)["pose2d"], item["pose2d"], atol=1e-5)
    assert not np.array_equal(get(own, 1)["pose2d"], item["pose2d"])
    trees.write(tmp_path / "absnet_output_on_testset.json", {name.format(0): found(0)})
    for by_position in (True, False):
        with pytest.raises(InputError, match="no pose for"):
            Human36MPoses(tmp_path, "test", BODY, by_position=by_position)


def test_muco(tmp_path: Path) -> None:
    people = trees.muco(tmp_path, BODY)
    samples = MuCoPoses(tmp_path)
    assert [s.sample_id for s in samples] == [1, 4]
    for joint_set in (HUMAN36, COCO):
        items = clean(samples, joint_set, quirks=PoseQuirks(muco_filter="fixed"))
        for i, person in enumerate((people[1], people[4])):
            mesh = person.mesh(BODY)
            joints, coco = (
                BODY.joint_regressor("human36") @ mesh,
                COCO.complete(BODY.joint_regressors["coco"] @ mesh),
            )
            source = joints if joint_set == HUMAN36 else coco
            check(
                get(items, i), mesh, joints[0], joints, source - source[joint_set.root], trees.project(source)
            )
        official = get(clean(samples, joint_set), 0)
        assert not any(official[k].any() for k in official if k.endswith("_valid"))
        assert get(clean(samples, joint_set, posenet=True), 0)["lift_pose3d_valid"].all()


def test_recorded_fit_errors(data: Path) -> None:
    with np.load(data / "pose2mesh" / "metrics.npz") as file:
        recorded = dict(file)
    assert muco_error(*(recorded["muco_fit_joint"],) * 2) == pytest.approx(
        float(recorded["muco_fit_error_official_call"]), rel=1e-5
    )
    names = ("coco_fit_bbox", "coco_fit_dataset", "coco_fit_smpl", "coco_fit_valid")
    box, annotated, fitted, valid = (recorded[k] for k in names)
    assert pixel_error(box, annotated[:, :2], fitted[:, :2], valid) == pytest.approx(
        float(recorded["coco_fit_error"]), rel=1e-5
    )
    regressor = np.zeros((17, 6890))
    rows, columns, weights = recorded["reg_h36m"]
    regressor[rows.astype(int), columns.astype(int)] = weights
    errors = [
        centred_error(j, regressor @ m)
        for j, m in zip(recorded["h36m_gt_joint_cam"], recorded["gt_mesh"], strict=True)
    ]
    np.testing.assert_allclose(errors, recorded["h36m_fit_error"], rtol=1e-4)
    assert [r for r, _ in MUCO_ROWS] == [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16]
    assert [r for _, r in MUCO_ROWS] == [14, 8, 9, 10, 11, 12, 13, 16, 5, 6, 7, 2, 3, 4]


@pytest.mark.parametrize("off", [0.0, 2.9, 3.1])
def test_coco(tmp_path: Path, off: float) -> None:
    """Keypoints moved by so many pixels of a 64 x 64 frame around the fit."""
    people = [trees.Person.drawn(i) for i in range(5)]
    source = COCO.complete(BODY.joint_regressors["coco"] @ skin(BODY, people[0].pose, people[0].shape)[0])
    side = float(np.ptp(trees.weak(source), axis=0).max()) - 1
    trees.coco(tmp_path, BODY, off * side / 64)
    samples = CocoDataset(tmp_path)
    assert [s.sample_id for s in samples] == [0, 4]
    for joint_set in (HUMAN36, COCO):
        items = clean(samples, joint_set)
        mesh = skin(BODY, people[0].pose, people[0].shape)[0]
        joints = BODY.joint_regressor("human36") @ mesh
        lift = joints if joint_set == HUMAN36 else source
        if joint_set == HUMAN36 and off:
            continue  # the frame is that of the other joints
        check(
            get(items, 0),
            mesh,
            joints[0],
            joints,
            lift - lift[joint_set.root],
            trees.weak(lift),
            (off < 3,) * 3,
        )
    assert get(clean(samples, COCO, quirks=PoseQuirks(own_lift_root=False)), 0)["lift_pose3d"][17].any()


def test_amass(tmp_path: Path) -> None:
    poses = trees.amass(tmp_path)
    samples = AMASS(tmp_path)
    assert len(samples) == 3 * 4
    items = clean(samples, COCO)
    for i in (0, 5, 11):
        betas = samples[i].betas
        mesh, _ = skin(BODY, poses[i // 4 * 60, :72].reshape(24, 3), betas)
        pelvis = BODY.J_regressor[0] @ (BODY.v_template + BODY.shapedirs @ betas)
        mesh = (mesh - pelvis) @ CAMERAS[i % 4].T + pelvis + (0, 0, 10)
        joints, coco = (
            BODY.joint_regressor("human36") @ mesh,
            COCO.complete(BODY.joint_regressors["coco"] @ mesh),
        )
        pixels = coco[:, :2] / coco[:, 2:] * 1500 + 500
        check(get(items, i), mesh, joints[0], joints, coco - coco[17], pixels)
    with pytest.raises(IndexError):
        samples[12]


def test_amass_folders(tmp_path: Path) -> None:
    trees.amass(tmp_path, "cmu")
    with pytest.raises(InputError, match="amass_any_case"):
        AMASS(tmp_path)
    assert len(AMASS(tmp_path, any_case=True)) == 12
    trees.amass(tmp_path / "more", "BML")
    assert len(AMASS(tmp_path / "more", "posenet")) == 26 * 4


def test_pw3d(tmp_path: Path) -> None:
    people, others = (
        trees.pw3d(tmp_path),
        {g: replace(BODY, v_template=BODY.v_template * s) for g, s in (("male", 1.1), ("female", 0.9))},
    )
    samples, gendered = PW3DPoses(tmp_path), {"neutral": BODY} | others
    assert [s.sample_id for s in samples] == [12, 11, 10] and [s.video for s in samples] == ["a0", "b0", "b1"]
    items = PoseItems(samples, COCO, BODY, gendered, train=False)
    for at, gender in ((0, "neutral"), (1, "female"), (2, "male")):
        mesh = people[2 - at].mesh(gendered[gender])
        joints, coco = (
            BODY.joint_regressor("human36") @ mesh,
            COCO.complete(BODY.joint_regressors["coco"] @ mesh),
        )
        found = COCO.complete(np.random.default_rng(2 - at).uniform(100, 400, (17, 3))[:, :2])
        check(get(items, at), mesh, joints[0], joints, coco - coco[17], found)
        given = PoseItems(
            PW3DPoses(tmp_path, use_gt_input=True), COCO, BODY, gendered, train=False, use_gt_input=True
        )
        np.testing.assert_allclose(get(given, at)["pose2d"], standard(trees.project(coco)), atol=1e-3)
    with pytest.raises(InputError, match="gives the joints coco"):
        get(replace(items, joint_set=HUMAN36), 0)
    with pytest.raises(InputError, match="male SMPL body"):
        get(replace(items, gendered={"neutral": BODY}), 2)


def test_surreal(tmp_path: Path) -> None:
    people = trees.surreal(tmp_path)
    samples = SURREAL(tmp_path, "train")
    assert [s.sample_id for s in samples] == [1, 2, 0, 1]
    assert len(SURREAL(tmp_path, "train", repeat_first=False)) == len(SURREAL(tmp_path, "test")) == 3
    items = PoseItems(samples, SMPL, BODY, {"male": BODY, "female": BODY})
    mesh, joints = skin(BODY, people[1].pose, people[1].shape, people[1].trans)
    found = np.random.default_rng(1).uniform(0, 200, (24, 3))[:, :2]
    check(get(items, 0), mesh, joints[0], joints, joints - joints[0], found)
    given = PoseItems(
        SURREAL(tmp_path, "test", use_gt_input=True),
        SMPL,
        BODY,
        items.gendered,
        train=False,
        use_gt_input=True,
    )
    pixels = joints[:, :2] / joints[:, 2:] * 600 + (160, 120)
    np.testing.assert_allclose(get(given, 0)["pose2d"], standard(pixels), atol=1e-3)
    trees.write(tmp_path / "data" / "hrnet_output_on_trainset.json", [{"image_id": 0, "keypoints": found}])
    with pytest.raises(InputError, match="one for each of the 3"):
        SURREAL(tmp_path, "train")


def test_freihand(tmp_path: Path) -> None:
    people, hand = trees.freihand(tmp_path), synthetic_body(True)
    samples = FreiHANDPoses(tmp_path, "train")
    assert [s.sample_id for s in samples] == [1, 2]
    mesh, own = skin(hand, people[1].pose, people[1].shape)
    joints = mano_joints21(mesh, own)

    def turned(x):
        return (x - joints[0]) @ trees.R.T

    found = np.random.default_rng(1).uniform(0, 200, (21, 2))
    items = PoseItems(samples, MANO, hand, flip=True, rotate_factor=30.0)
    check(get(items, 0), turned(mesh), np.zeros(3), turned(joints), turned(joints), found)
    test = PoseItems(FreiHANDPoses(tmp_path, "test"), MANO, hand, train=False)
    assert len(test) == 3 and not any(v.any() for k, v in get(test, 1).items() if k != "pose2d")
    np.testing.assert_allclose(get(test, 1)["pose2d"], standard(found), atol=1e-4)


def test_bad_files(tmp_path: Path) -> None:
    trees.pw3d(tmp_path / "PW3D")
    path = tmp_path / "PW3D" / "data" / "darkpose_3dpw_testset_output.json"
    for content, words in (
        ([], "nothing on annotation 12"),
        ([{"annotation_id": 12, "keypoints": [[1, 2]]}], "no 17 rows"),
        ({}, "no list"),
    ):
        trees.write(path, content)
        with pytest.raises(InputError, match=words):
            _ = PW3DPoses(tmp_path / "PW3D")[0]
    trees.amass(tmp_path / "AMASS")
    motion = tmp_path / "AMASS" / "data" / "CMU" / "01" / "01_01_poses.npz"
    for arrays, words in (
        ({"poses": np.zeros((3, 9)), "betas": np.zeros(16)}, "156"),
        ({"betas": np.zeros(9)}, "no poses"),
        ({"poses": np.full((3, 156), np.nan), "betas": np.zeros(16)}, "finite"),
    ):
        np.savez(motion, **arrays)
        with pytest.raises(InputError, match=words):
            AMASS(tmp_path / "AMASS")
    with pytest.raises(InputError, match="no extent"):
        trees.surreal(tmp_path / "S")
        point = [{"image_id": n, "annotation_id": n, "keypoints": np.zeros((24, 2))} for n in range(3)]
        trees.write(tmp_path / "S" / "data" / "hrnet_output_on_trainset.json", point)
        get(PoseItems(SURREAL(tmp_path / "S", "train"), SMPL, BODY, {"male": BODY, "female": BODY}), 0)
