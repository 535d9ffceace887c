"""Sequences: the frames of every format in order, each with its people, and their hands."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.io.poses import check_pose2d, read_poses, read_sequence
from openhmr.joints import BODY25, COCO, COCO_FEET, HALPE26, MANO, MEDIAPIPE33, JointSet
from openhmr.people import People
from tests import pose_writers as writers
from tests.pose_writers import SIZE, flat, instance, landmarks, person, write

NUMBERS = (0, 2, 10)
"""Of frames in which there is somebody, in an order that words do not have; frame 5 is empty where a format
can say so."""


def clip(joint_set: JointSet) -> dict[int, list[np.ndarray]]:
    """Frames by number, in no order: two people in frame 2."""
    one, two, three = (person(joint_set, shift) for shift in (0.0, 0.2, 0.4))
    return {10: [three], 2: [two, one], 5: [], 0: [one]}


def dump(path: Path, content: object) -> Path:
    return write(path, json.dumps(content))


def openpose(folder: Path) -> Path:
    folder.mkdir()
    for number, people in clip(BODY25).items():
        own = {"people": [{"pose_keypoints_2d": flat(p)} for p in people]}
        dump(folder / f"clip_{number:012d}_keypoints.json", own)
    return folder


def mmpose_folder(folder: Path) -> Path:
    """The inferencer's predictions of a folder of pictures: a file a picture."""
    folder.mkdir()
    for number, people in clip(COCO).items():
        dump(folder / f"{number}.json", [instance(p) for p in people] or {"people": []})
    return folder


def mmpose_video(path: Path) -> Path:
    return dump(path, [{"frame_id": n, "instances": list(map(instance, p))} for n, p in clip(COCO).items()])


def mmpose_lists(path: Path) -> Path:
    frames = clip(COCO)
    return dump(path, {"predictions": [list(map(instance, frames.get(n, []))) for n in range(11)]})


def alphapose(path: Path) -> Path:
    return dump(
        path,
        [
            {"image_id": f"{n}.jpg", "category_id": 1, "keypoints": flat(q, 136), "score": 2.0, "idx": [1.0]}
            for n, people in clip(HALPE26).items()
            for q in people
        ],
    )


def data_set(path: Path) -> Path:
    """COCO's, whose pictures are ordered by their names, not their ids."""
    frames = clip(COCO)
    images = [{"id": 100 - n, "file_name": f"clip/{n}.jpg", "height": 480, "width": 640} for n in frames]
    people = [
        {"image_id": 100 - n, "keypoints": flat(q)} for n, everybody in frames.items() for q in everybody
    ]
    return dump(path, {"images": images, "annotations": people})


def mediapipe(path: Path) -> Path:
    frames = clip(MEDIAPIPE33)
    return dump(
        path,
        [
            {"frame": n, "timestamp_ms": 40 * n, "pose_landmarks": [landmarks(q) for q in people]}
            for n, people in frames.items()
        ],
    )


def mediapipe_results(path: Path) -> Path:
    frames = clip(MEDIAPIPE33)
    return dump(path, [{"landmarks": [landmarks(q) for q in frames.get(n, [])]} for n in range(11)])


def mediapipe_lists(path: Path) -> Path:
    frames = clip(MEDIAPIPE33)
    return dump(path, {"frames": [[landmarks(q) for q in frames.get(n, [])] for n in range(11)]})


def array(path: Path) -> Path:
    """Of two people a frame, of whom absent ones are NaN."""
    frames = np.full((11, 2, 17, 3), np.nan)
    for number, people in clip(COCO).items():
        for i, points in enumerate(people):
            frames[number, i] = points
    np.savez(path.with_suffix(".npz"), pose2d=frames, joint_set="coco", image_size=SIZE)
    return path.with_suffix(".npz")


def wide(path: Path) -> Path:
    header = ["frame", *(f"{name}_{axis}" for name in COCO.base for axis in ("x", "y", "score"))]
    rows = [[n, *q.ravel()] for n, people in clip(COCO).items() for q in people]
    return write(path, "\n".join(",".join(map(str, row)) for row in [header, *rows]))


def long(path: Path) -> Path:
    rows = [
        [n / 25, who, name, *xyc]
        for n, people in clip(COCO).items()
        for who, q in enumerate(people)
        for name, xyc in zip(COCO.base, q.tolist(), strict=True)
    ]
    header = ["time", "person", "joint", "x", "y", "score"]
    return write(path, "\n".join(",".join(map(str, row)) for row in [header, *rows]))


def deeplabcut(path: Path) -> Path:
    names = [name for name in COCO.base for _ in range(3)]
    lines: list[list[object]] = [
        ["scorer", *["net"] * 102],
        ["individuals", *["a"] * 51, *["b"] * 51],
        ["bodyparts", *names, *names],
        ["coords", *["x", "y", "likelihood"] * 34],
    ]
    for number, people in clip(COCO).items():
        cells = [c for q in people for c in q.ravel().tolist()]
        lines.append([number, *cells, *[""] * (102 - len(cells))])
    return write(path, "\n".join(",".join(map(str, line)) for line in lines))


def sports2d(folder: Path) -> Path:
    """A file for each person, in pixels and in metres; empty cells where one is not seen."""
    folder.mkdir()
    frames = clip(HALPE26)
    for who in range(2):
        own = np.full((11, 26, 3), np.nan)
        for number, people in frames.items():
            if who < len(people):
                own[number] = people[who]
        write(folder / f"clip_px_person{who:02d}.trc", writers.trc(own, HALPE26, fps=25).replace("nan", ""))
        write(folder / f"clip_m_person{who:02d}.trc", writers.trc(own / 300, HALPE26, fps=25))
    return folder


CLIPS = (
    *(openpose, mmpose_folder, mmpose_video, mmpose_lists, alphapose, data_set, mediapipe, mediapipe_results),
    *(mediapipe_lists, array, wide, long, deeplabcut, sports2d),
)
WITHOUT_SCORES = (sports2d,)
TIMED = (mediapipe, long, sports2d)
SILENT = (alphapose, wide, long)
"""Formats that do not speak of frames without people."""


@pytest.mark.parametrize("make", CLIPS, ids=[c.__name__ for c in CLIPS])
def test_frames_come_in_order_with_their_people(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path / "clip")
    frames = read_sequence(path, image_size=SIZE)
    there = [f for f in frames if len(f.keypoints)]
    joint_set = there[0].keypoints.joint_set
    assert (len(frames) > len(there)) == (make not in SILENT)
    expected = clip(joint_set)
    for frame, number in zip(there, NUMBERS, strict=True):
        given = np.stack(expected[number])
        given = given[..., :2] if make in WITHOUT_SCORES else given
        assert_allclose(frame.keypoints.points, check_pose2d(given, joint_set), atol=1e-4)
        if make in TIMED:
            assert frame.time_s == pytest.approx(number / 25)
        else:
            assert frame.name is not None and int(frame.name.removeprefix("clip_")) == number
        if make is not sports2d:  # which has several files
            assert_allclose(
                read_poses(
                    path, image_id=str(number / 25 if make is long else number), image_size=SIZE
                ).points
                if make is not data_set
                else read_poses(path, image=f"clip/{number}.jpg").points,
                frame.keypoints.points,
                atol=1e-6,
            )
    assert len({f.name for f in frames}) == len(frames)


def test_one_picture_is_one_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", writers.openpose(person(BODY25), BODY25))
    (frame,) = read_sequence(path)
    assert frame.name is None and frame.time_s is None
    assert_allclose(frame.keypoints.points, read_poses(path).points)
    np.save(tmp_path / "p.npy", person(HALPE26))
    (frame,) = read_sequence(tmp_path / "p.npy")
    assert frame.keypoints.joint_set == HALPE26


def test_one_bad_detection_does_not_end_a_sequence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Few joints, all in one pixel, or with a low score: nobody, and the other frames are read."""
    points, dot, few = person(COCO), person(COCO), person(COCO)
    dot[:, :2] = 300
    few[3:, :2] = 0
    people = [(0, points, 0.9), (1, dot, 0.9), (2, few, 0.9), (3, points, 0.1), (4, points, 0.8)]
    content = [{"image_id": i, "keypoints": flat(p), "score": s} for i, p, s in people]
    frames = read_sequence(dump(tmp_path / "p.json", content), min_score=0.5)
    assert [f.name for f in frames] == ["000000", "000001", "000002", "000003", "000004"]
    assert [len(f.keypoints) for f in frames] == [1, 0, 0, 0, 1]
    assert_allclose(frames[4].keypoints.scores, [0.8])  # type: ignore[arg-type]
    assert caplog.text.count("3 of 5 people are left out") == 1


def test_frames_of_one_name_in_two_folders_keep_them_apart(tmp_path: Path) -> None:
    content = [{"image_id": f"{c}/1.jpg", "keypoints": flat(person(COCO))} for c in "ab"]
    assert [f.name for f in read_sequence(dump(tmp_path / "p.json", content))] == ["a_1", "b_1"]


ONE = {"keypoints": flat(person(COCO))}
FRAME = {"frame_id": 1, "instances": [instance(person(COCO))]}
LANDMARKS = landmarks(person(MEDIAPIPE33))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([ONE | {"image_id": 1}, ONE], "says of 1 of 2 people in which picture or frame they are"),
        ([FRAME, instance(person(COCO))], "says of 1 of 2 people"),
        ({"predictions": [[instance(person(COCO))], instance(person(COCO))]}, "mixes instances and lists"),
        ([{"frame": 1, "landmarks": LANDMARKS}, {"landmarks": LANDMARKS}], "says of 1 of 2 people"),
        (
            [ONE | {"image_id": 1}, {"image_id": 2, "keypoints": flat(person(HALPE26))}],
            "mixes people with 17 coco keypoints and 26 halpe26",
        ),
        ([ONE | {"image_id": "a:b"}, ONE | {"image_id": "a_b"}], "calls two of its frames the same"),
        (
            [ONE | {"image_id": i, "keypoints": [1.0] * 51} for i in range(2)],
            "multiply normalised coordinates",
        ),
        ([ONE | {"image_id": i, "keypoints": [9.0] * 51} for i in range(2)], "no person with at least 4"),
        ([ONE | {"image_id": i // 101} for i in range(102)], "101 people of one picture"),
    ],
)
def test_mixed_files_are_refused(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_sequence(dump(tmp_path / "p.json", content), image_size=SIZE)


def test_folders_of_several_clips_are_refused(tmp_path: Path) -> None:
    for name in ("cam1_000", "cam1_001", "cam2_000", "cam2_001"):
        write(tmp_path / f"{name}_keypoints.json", writers.openpose(person(BODY25), BODY25))
    with pytest.raises(InputError, match="several clips, such as 'cam1_' and 'cam2_'"):
        read_sequence(tmp_path)
    for name in ("cam2_000", "cam2_001"):
        (tmp_path / f"{name}_keypoints.json").unlink()
    dump(tmp_path / "cam1_002_keypoints.json", [ONE | {"image_id": i} for i in range(2)])
    with pytest.raises(InputError, match="people of 2 pictures, in a folder of 3 files"):
        read_sequence(tmp_path)


def hand(start: float) -> np.ndarray:
    return np.stack([start + np.arange(21) * 3, 200 + np.arange(21) ** 1.5, np.full(21, 0.9)], 1)


def test_hands_of_whole_bodies_are_manos_joints(tmp_path: Path) -> None:
    """COCO-WholeBody's 133, its annotations, Halpe's 136, and OpenPose's beside the body."""
    left, right = hand(100), hand(300)
    hands = np.concatenate([left, right])
    whole = np.concatenate([person(COCO_FEET), np.ones((68, 3)), hands])
    halpe = np.concatenate([person(HALPE26), np.ones((68, 3)), hands])
    feet = person(COCO_FEET)
    annotation = {
        "keypoints": flat(feet[:17]),
        "foot_kpts": flat(feet[17:]),
        "lefthand_kpts": flat(left),
        "righthand_kpts": flat(right),
    }
    sides = {f"hand_{s}_keypoints_2d": flat(h) for s, h in (("left", left), ("right", right))}
    files = (
        [{"image_id": 1, "keypoints": flat(whole)}],
        [{"image_id": 1} | annotation],
        [{"image_id": "a.jpg", "keypoints": flat(halpe), "score": 2.0}],
        [instance(whole)],
        {"people": [{"pose_keypoints_2d": flat(person(BODY25))} | sides]},
        {"people": [{"pose_keypoints_2d": flat(whole)}]},
    )
    for content in files:
        path = dump(tmp_path / "p.json", content)
        for part, expected in (("left_hand", left), ("right_hand", right)):
            found = read_poses(path, part=part)  # type: ignore[arg-type]
            assert found.joint_set == MANO
            assert_allclose(found.points, expected[None], rtol=1e-6)
        assert read_poses(path).joint_set in (COCO_FEET, HALPE26, BODY25)
    path = dump(tmp_path / "p.json", [ONE])
    with pytest.raises(InputError, match="has no left hand; hands are in files of OpenPose with hands"):
        read_poses(path, part="left_hand")


def lift(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict], str]:
    code = main(["lift", *map(str, arguments), "--no-pictures", "--json"])
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def test_the_command_lifts_frame_by_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As each alone, in a folder of its own, all before one camera."""
    path, out = mmpose_video(tmp_path / "p.json"), tmp_path / "out"
    code, lines, _ = lift(capsys, path, "--out", out)
    assert code == 0
    assert [line["name"] for line in lines] == ["000000", "000002", "000010"]
    assert [line["people"] for line in lines] == [1, 2, 1]
    frames = [People.load(out / line["name"] / "result.npz") for line in lines]
    assert len({(tuple(f.camera.image_size), f.camera.K[0, 0]) for f in frames}) == 1
    camera = {"K": frames[0].camera.K.tolist(), "image_size": list(frames[0].camera.image_size)}
    given = ["--camera", dump(tmp_path / "camera.json", camera)]
    for frame, number in zip(frames, NUMBERS, strict=True):
        assert lift(capsys, path, "--image-id", number, *given, "--out", tmp_path / "one")[0] == 0
        alone = People.load(tmp_path / "one" / "result.npz")
        assert_allclose(frame.vertices, alone.vertices, atol=1e-5)
    code, _, error = lift(capsys, path, "--height", "1.8,1.6", "--out", out)
    assert code == 2 and "give one for all" in error


def test_the_frames_have_their_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "frames").mkdir()
    for number in (*NUMBERS, 5):
        Image.new("RGB", SIZE[::-1]).save(tmp_path / "frames" / f"img_{number:04d}.png")
    for poses in (alphapose(tmp_path / "a.json"), mediapipe(tmp_path / "m.json"), openpose(tmp_path / "o")):
        code, lines, _ = lift(capsys, poses, "--image", tmp_path / "frames", "--out", tmp_path / "out")
        assert code == 0 and [line["image_size"] for line in lines] == [list(SIZE)] * 3
    (tmp_path / "frames" / "img_0010.png").unlink()
    code, _, error = lift(capsys, poses, "--image", tmp_path / "frames", "--out", tmp_path / "out")
    assert code == 2 and "no pictures of the frame 'clip_000000000010'" in error
    code, _, error = lift(capsys, tmp_path / "frames", "--out", tmp_path / "out")
    assert code == 2 and "is a folder of photos; `openhmr recover " in error
