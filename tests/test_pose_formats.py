"""Files of other detectors: the same person in every format is the same pose, and the same mesh."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import openhmr
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.io.images import write_png
from openhmr.io.poses import check_pose2d, read_poses
from openhmr.io.poses.skeletons import DETECTED, by_names, canonical
from openhmr.joints import BODY25, COCO, HALPE26, HUMAN36, MEDIAPIPE33, POINTS, get_joint_set
from tests import pose_writers as writers
from tests.pose_writers import CASES, SIZE, WRITERS, Writer, flat, landmarks, person, write


@pytest.mark.parametrize(("name", "writer"), CASES, ids=[f"{n}-{w.__name__}" for n, w in CASES])
def test_a_person_is_the_same_in_every_format(tmp_path: Path, name: str, writer: Writer) -> None:
    joint_set = get_joint_set(name)
    points = person(joint_set)
    path = write(tmp_path / "poses.dat", writer(points, joint_set))
    found = read_poses(path, image_size=SIZE)
    assert found.joint_set == joint_set
    given = points[:, :2] if writer in writers.UNSURE else points
    assert_allclose(found.points, check_pose2d(given, joint_set), atol=1e-4)
    assert_allclose(read_poses(path, joint_set, image_size=SIZE).points, found.points)


def test_the_same_person_has_the_same_mesh(tmp_path: Path) -> None:
    lifter = openhmr.load("pose2mesh")
    points = person(HALPE26)
    expected = lifter(check_as(points), writers.CAMERA).vertices  # type: ignore[call-arg, union-attr]
    for writer in set(WRITERS["halpe26"]) - set(writers.UNSURE):
        found = read_poses(write(tmp_path / "poses.dat", writer(points, HALPE26)))
        assert_allclose(lifter(found, writers.CAMERA).vertices, expected, atol=1e-5)  # type: ignore[call-arg, union-attr]


def test_the_command_needs_no_joint_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenPose's folder by the picture's name; MediaPipe's shares by a size that is told."""
    (tmp_path / "json").mkdir()
    write(tmp_path / "json" / "a_keypoints.json", writers.openpose(person(BODY25), BODY25))
    write(tmp_path / "json" / "b_keypoints.json", writers.openpose(person(BODY25, 0.3), BODY25))
    shares = write(tmp_path / "m.json", writers.mediapipe_list(person(MEDIAPIPE33), MEDIAPIPE33))
    write_png(tmp_path / "a.png", np.zeros((*SIZE, 3), np.uint8))
    camera = {"K": writers.CAMERA.K.tolist(), "image_size": list(SIZE)}
    write(tmp_path / "camera.json", json.dumps(camera))
    for poses, option, value in (
        (tmp_path / "json", "--image", tmp_path / "a.png"),
        (shares, "--image", tmp_path / "a.png"),
        (shares, "--camera", tmp_path / "camera.json"),
    ):
        out = ["--out", str(tmp_path / "out"), "--no-pictures", "--json"]
        assert main(["lift", str(poses), option, str(value), *out]) == 0
        numbers = json.loads(capsys.readouterr().out)
        assert numbers["image_size"] == list(SIZE) and numbers["reprojection_px"][0] < 15
    assert main(["lift", str(shares), *out]) == 2
    assert "not its size" in capsys.readouterr().err


def check_as(points: np.ndarray) -> openhmr.Keypoints:
    return openhmr.Keypoints(HALPE26, check_pose2d(points, HALPE26))


def test_arrays_tell_their_joints_by_number_or_by_name(tmp_path: Path) -> None:
    for joint_set in DETECTED:
        points = person(joint_set)
        np.savez(tmp_path / "told.npz", pose2d=points, joint_set=joint_set.name)
        np.save(tmp_path / "p.npy", points)
        expected = check_pose2d(points, joint_set)
        assert_allclose(read_poses(tmp_path / "told.npz").points, expected)
        assert read_poses(tmp_path / "told.npz").joint_set == joint_set
        if sum(len(s.base) == len(points) for s in DETECTED) == 1:
            assert read_poses(tmp_path / "p.npy").joint_set == joint_set
        else:
            with pytest.raises(InputError, match=f"name the right one of .*{joint_set.name}"):
                read_poses(tmp_path / "p.npy")
    np.savez(tmp_path / "told.npz", pose2d=points, joint_set="mano")
    with pytest.raises(InputError, match="joint set 'mano' is not one of"):
        read_poses(tmp_path / "told.npz")
    np.save(tmp_path / "p.npy", np.array(flat(person(HALPE26), 136)).reshape(1, 136, 3))
    assert read_poses(tmp_path / "p.npy").joint_set == HALPE26
    with pytest.raises(InputError, match="has no id; leave the id '3' out"):
        read_poses(tmp_path / "p.npy", image_id="3")


def test_joints_of_one_skeleton_are_taken_out_of_another(tmp_path: Path) -> None:
    points = person(BODY25)
    path = write(tmp_path / "p.json", writers.openpose(points, BODY25))
    found = read_poses(path, COCO)
    rows = [BODY25.names.index(name) for name in COCO.base]
    assert_allclose(found.points, check_pose2d(points[rows], COCO))
    with pytest.raises(InputError, match="holds body25 joints, not human36: it lacks Pelvis_h36m"):
        read_poses(path, HUMAN36)


FRAMES = {
    "mmpose": lambda p: [{"frame_id": i, "instances": [writers.instance(q)]} for i, q in enumerate(p)],
    "mmpose lists": lambda p: {"predictions": [[writers.instance(q)] for q in p]},
    "mediapipe": lambda p: [{"frame": i, "landmarks": landmarks(q)} for i, q in enumerate(p)],
    "mediapipe frames": lambda p: {
        "frames": [{"frame": i, "pose_landmarks": [landmarks(q)]} for i, q in enumerate(p)]
    },
    "alphapose": lambda p: [{"image_id": f"00{i}.jpg", "keypoints": flat(q)} for i, q in enumerate(p)],
    "alphapose keyed": lambda p: {
        f"00{i}.jpg": {"people": [{"pose_keypoints_2d": flat(q)}]} for i, q in enumerate(p)
    },
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_told_apart(tmp_path: Path, kind: str) -> None:
    joint_set = MEDIAPIPE33 if kind.startswith("mediapipe") else COCO
    points = [person(joint_set, shift) for shift in (0.0, 0.2, 0.4)]
    path = write(tmp_path / "p.json", json.dumps(FRAMES[kind](points)))
    for i in range(3):
        found = read_poses(path, image_id=str(i), image_size=SIZE)
        assert_allclose(found.points, check_pose2d(points[i], joint_set), atol=1e-4)
    assert_allclose(read_poses(path, image="clip/002.jpg", image_size=SIZE).points, found.points)
    with pytest.raises(InputError, match="several images.*there are"):
        read_poses(path, image_size=SIZE)
    with pytest.raises(InputError, match="no pictures of the id '9'"):
        read_poses(path, image_id="9", image_size=SIZE)


def test_a_folder_of_openpose_is_read_by_the_name_of_a_frame(tmp_path: Path) -> None:
    people = [person(BODY25, shift) for shift in (0.0, 0.3)]
    for i, points in enumerate(people):
        write(tmp_path / f"clip_{i:012d}_keypoints.json", writers.openpose(points, BODY25))
    for how in ({"image_id": "1"}, {"image_id": "clip_000000000001"}, {"image": "clip_000000000001.png"}):
        found = read_poses(tmp_path, **how)  # type: ignore[arg-type]
        assert_allclose(found.points, check_pose2d(people[1], BODY25))
    with pytest.raises(InputError, match="2 files, which is a sequence"):
        read_poses(tmp_path)
    (tmp_path / "clip_000000000001_keypoints.json").unlink()
    assert_allclose(read_poses(tmp_path).points, check_pose2d(people[0], BODY25))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="without JSON files"):
        read_poses(tmp_path / "empty")


def test_pictures_are_chosen_by_their_names_as_ids(tmp_path: Path) -> None:
    points = [person(COCO, shift) for shift in (0.0, 0.3)]
    content = {
        "images": [{"id": 1, "file_name": "seq/000002.jpg"}, {"id": 2, "file_name": "seq/000001.jpg"}],
        "annotations": [{"image_id": i + 1, "keypoints": flat(p)} for i, p in enumerate(points)],
    }
    path = write(tmp_path / "p.json", json.dumps(content))
    for image_id, expected in (("seq/000001.jpg", 1), ("000002.jpg", 0), ("2", 1)):
        assert_allclose(read_poses(path, image_id=image_id).points, check_pose2d(points[expected], COCO))


def table(rows: list[list[object]]) -> str:
    return "\n".join(",".join(map(str, row)) for row in rows)


def test_tables_of_several_people_and_frames(tmp_path: Path) -> None:
    people = [person(COCO, shift) for shift in (0.0, 0.3, 0.6)]
    header = [f"{name}_{axis}" for name in COCO.base for axis in "xy"]
    numbers = [p[:, :2].ravel().tolist() for p in people]
    where = [[0, 0], [0, 1], [1, 0]]
    wide = table([["frame", "person", *header], *[w + n for w, n in zip(where, numbers, strict=True)]])
    long = table(
        [["frame", "id", "keypoint", "x", "y"]]
        + [
            w + [n, *xy]
            for w, p in zip(where, people, strict=True)
            for n, xy in zip(COCO.base, p[:, :2].tolist(), strict=True)
        ]
    )
    names = [n for n in COCO.base for _ in range(2)]
    individuals = table(
        [
            ["scorer", *["net"] * 68],
            ["individuals", *["a"] * 34, *["b"] * 34],
            ["bodyparts", *names, *names],
            ["coords", *["x", "y"] * 34],
            [0, *numbers[0], *numbers[1]],
            [1, *numbers[2], *[""] * 34],
        ]
    )
    for text in (wide, long, individuals):
        path = write(tmp_path / "p.csv", text)
        for frame, expected in (("0", people[:2]), ("1", people[2:])):
            found = read_poses(path, image_id=frame)
            assert_allclose(found.points, check_pose2d(np.stack(expected)[..., :2], COCO), atol=1e-4)
    nobody_says = write(tmp_path / "p.csv", table([header, *numbers]))
    with pytest.raises(InputError, match="whether they are people or frames"):
        read_poses(nobody_says)


def test_missing_joints_of_tables_are_empty_or_absent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = person(COCO)
    lines = [["joint", "x", "y"], *[[n, x, y] for n, (x, y, _) in zip(COCO.base, points, strict=True)][:14]]
    lines += [["R_Knee", "", ""], ["tail", 3, 4]]
    found = read_poses(write(tmp_path / "p.csv", table(lines)))
    expected = points.copy()
    expected[14:] = 0
    expected[:14, 2] = 1
    assert_allclose(found.points, check_pose2d(expected, COCO), atol=1e-4)
    assert "of coco these are no joints: 'tail'" in caplog.text


@pytest.mark.parametrize("name", ["left_hip", "LHip", "Hip.L", "leftHip", "L_Hip", "hip left", "LEFT HIP"])
def test_names_are_matched_however_they_are_written(name: str) -> None:
    assert canonical(name) == "l_hip"


def test_halpe_and_openpose_call_some_joints_otherwise() -> None:
    halpe = [
        *COCO.base,
        "Head",
        "Neck",
        "Hip",
        "LBigToe",
        "RBigToe",
        "LSmallToe",
        "RSmallToe",
        "LHeel",
        "RHeel",
    ]
    assert by_names(halpe, None, "x")[0] == HALPE26
    assert (by_names(halpe, None, "x")[1] == np.arange(26)).all()
    body25 = ["MidHip" if name == "Pelvis" else name.replace("_", "") for name in BODY25.names]
    assert by_names(body25, None, "x")[0] == BODY25


def test_a_neck_is_not_taken_for_another(tmp_path: Path) -> None:
    """Halpe's Neck is the throat: COCO's, asked for, is the middle of the shoulders all the same."""
    points = person(HALPE26)
    text = writers.csv_wide(points, HALPE26).replace("throat_", "neck_").replace("pelvis_", "hip_")
    found = read_poses(write(tmp_path / "p.csv", text), COCO)
    assert_allclose(found.points, check_pose2d(points[:17], COCO), atol=1e-4)
    names = [name for name in COCO.base if not name.endswith(("Eye", "Ear"))]
    rows = [HALPE26.names.index(name) for name in names]
    some = table([["joint", "x", "y"], *[[n, *points[r, :2]] for n, r in zip(names, rows, strict=True)]])
    assert read_poses(write(tmp_path / "p.csv", some), HALPE26).joint_set == HALPE26
    points = person(POINTS)
    text = writers.csv_wide(points, POINTS)
    assert_allclose(read_poses(write(tmp_path / "p.csv", text), POINTS).points, check_pose2d(points, POINTS))


def mixed(change: dict[str, object]) -> str:
    one = {"image_id": 1, "keypoints": flat(person(COCO))}
    return json.dumps([one, one | change])


LANDMARKS = landmarks(person(MEDIAPIPE33))
GIVEN = json.dumps


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "empty JSON.*known are JSON of COCO"),
        ("[]", "empty JSON"),
        ('{"people": []}', "no person"),
        ('{"hello": 1}', "no known format.*known are JSON of COCO"),
        ('[{"people": 3}]', "no known format"),
        ('{"people": [3]}', "no list of objects"),
        ('{"people": [{"hand_left_keypoints_2d": []}]}', 'without "pose_keypoints_2d"'),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "2 numbers"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, "a"]}]}', "no list of numbers"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 1]}]}', "1 joint;"),
        (GIVEN({"people": [{"pose_keypoints_2d": flat(person(COCO)[:14])}]}), "14 joints.*aic, crowdpose"),
        (mixed({"keypoints": flat(person(HALPE26))}), "mixes people with 17 coco keypoints and 26 halpe26"),
        (mixed({"keypoints": flat(person(COCO)) + [1, 1, 1, 2, 2, 1]}), "17 coco keypoints and 19 coco"),
        (mixed({"foot_kpts": [1, 2, 1]}), '3 numbers in "foot_kpts"'),
        (GIVEN(LANDMARKS), "not its size; give the picture"),
        (GIVEN(LANDMARKS[:21]), "21 joints, which look like a hand"),
        (GIVEN([*LANDMARKS[:32], {"x": "a", "y": 3}]), "landmarks that are no numbers"),
        (GIVEN({"landmarks": [LANDMARKS, 3]}), "mixes landmarks with something else"),
        (GIVEN([{"landmarks": LANDMARKS}, {"keypoints": flat(person(COCO))}]), "mixes landmarks"),
        ('[{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}]', "which is a 3D pose"),
        ('[{"keypoints": [[1, 2]], "keypoint_scores": [1, 2]}]', "1 keypoints and 2 scores"),
        ('[{"keypoint_scores": [1, 2]}]', 'without "keypoints"'),
        ('{"predictions": [[{"keypoint_scores": []}], {}]}', "mixes instances and lists"),
        ("nose_x,nose_y\n1,2\n", "names 1 joint of a known skeleton"),
        ("x,y\n1,2\n", "none called joint"),
        ("joint,x,y\nnose,1,2\nnose,1,2\n", "'nose' twice"),
        ("joint,x,y\nnose,1\n", "a row of 2 columns"),
        ("joint,x,y\nnose,one,2\n", "'one' where a number"),
        ("nose_x,nose_y,l_hip_x,r_hip_x,l_knee_x\n1,2,3,4,5", "no x and y of 'l_hip'"),
        ("nose_x,Nose_y,nose_X,l_hip_x,r_hip_x,l_knee_x\n1,2,3,4,5", "has the joint Nose twice"),
        ("scorer,a,a\n0,1,2\n", 'no rows "bodyparts" and "coords"'),
        ("scorer,a,a\nbodyparts,nose\ncoords,x,y\n0,1,2\n", "different lengths"),
        (
            GIVEN({"people": [{"pose_keypoints_2d": [5.0] * 72}]}),
            "24 joints, which look like SMPL.*if it is na",
        ),
        (
            GIVEN({"people": [{"pose_keypoints_2d": flat(person(BODY25)), "hand_left_keypoints_2d": [1.0]}]}),
            "1 num",
        ),
        (mixed({"image_id": None}).replace('"image_id": null, ', ""), "1 of 2 people in which picture"),
        (
            "frame,joint,x,y\n1,nose,1,2\n,nose,1,2\n,neck,1,2\n1,neck,3,3\n,l_hip,1,3\n,r_hip,2,3",
            "1 of 2 people",
        ),
        ("PathFileType\t4\n", "lacks the five header rows"),
        (writers.sports2d(person(COCO) / 300, COCO), "which are metres; give the file in pixels"),
        (
            writers.sports2d(person(COCO), COCO).replace("\t0.0\t", "\t1.5\t", 1),
            "coordinates Z, a pose in 3D",
        ),
        (
            writers.trc(np.stack([person(COCO)] * 2), COCO).replace("\n1\t", "\n0\t"),
            "two of its frames the same",
        ),
        (writers.sports2d(person(COCO), COCO).replace("\t0.0\t", "\tnone\t", 1), "'none' where a number"),
        ("\n".join(writers.sports2d(person(COCO), COCO).split("\n")[:5]), "a header but no frames"),
        ("hello, world", "holds no 2D poses; known are NumPy arrays, JSON of COCO"),
    ],
)
def test_a_sentence_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_poses(write(tmp_path / "p.txt", text))
