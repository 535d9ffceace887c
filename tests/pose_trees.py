"""Miniature trees of Pose2Mesh's data sets in their official layout, around a tiny body whose every place is
known."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import HUMAN36, MUCO

FOCAL, PRINCIPAL = [1000.0, 1010.0], [500.0, 510.0]


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, default=lambda a: np.asarray(a).tolist()))


@dataclass(frozen=True)
class Person:
    """Pose, shape and place of a body."""

    pose: np.ndarray
    shape: np.ndarray
    trans: np.ndarray

    @classmethod
    def drawn(cls, seed: int, depth: float = 4.0, joints: int = 24) -> "Person":
        rng = np.random.default_rng(seed)
        return cls(rng.normal(size=(joints, 3)) * 0.4, rng.uniform(-2, 2, 10), np.array([0.2, -0.1, depth]))

    def mesh(self, body: Body) -> np.ndarray:
        return skin(body, self.pose, self.shape, self.trans)[0]

    def record(self, **more: object) -> dict:
        return {"pose": self.pose.reshape(-1), "shape": self.shape, "trans": self.trans} | more


def project(points: np.ndarray) -> np.ndarray:
    return np.stack([points[:, i] / points[:, 2] * FOCAL[i] + PRINCIPAL[i] for i in (0, 1)], axis=1)


def image(number: int, **more: object) -> dict:
    return {"id": number, "file_name": f"{number:04d}.jpg", "width": 1000, "height": 1000} | more


def annotation(number: int, picture: int, **more: object) -> dict:
    return {"id": number, "image_id": picture, "bbox": [300, 300, 200, 300]} | more


R = axis_angle_to_matrix(np.array([1.2, -0.7, 0.4]))
T_MM = np.array([120.0, -80.0, 4500.0])


def human36m(root: Path, body: Body, off_mm: dict[int, float] | None = None) -> dict[int, Person]:
    """Subjects 1 (frames 0, 3, 5, 10, 15; 10 without a fit) and 9 (0, 50, 100; 50 without one); annotated
    joints are the fits' own.

    ``off_mm`` moves the joints of a frame to and fro. The people are in world axes.
    """
    people = {}
    for subject, frames, gap in ((1, (0, 3, 5, 10, 15), 10), (9, (0, 50, 100), 50)):
        images, annotations, joints, fits = [], [], {}, {}
        for i, frame in enumerate(frames):
            person = people[subject * 1000 + frame] = Person.drawn(subject * 1000 + frame, depth=0.3)
            # Listed backwards, so that the order of names is another one.
            number = subject * 1000 - i
            stem = f"s_{subject:02d}_act_02_subact_01_ca_01"
            name = f"{stem}/{stem}_{frame:06d}.jpg"
            facts = {
                "subject": subject,
                "action_idx": 2,
                "subaction_idx": 1,
                "cam_idx": 1,
                "frame_idx": frame,
            }
            images.insert(0, image(number, file_name=name, **facts))
            annotations.insert(0, annotation(number, number))
            moved = (
                np.where(np.arange(17)[:, None] % 2, 1, -1)
                * (off_mm or {}).get(frame, 0)
                * np.array([1, 0, 0])
            )
            joints[str(frame)] = body.joint_regressor("human36") @ person.mesh(body) * 1000 + moved
            if frame != gap:
                fits[str(frame)] = person.record()
        at = root / "annotations"
        write(at / f"Human36M_subject{subject}_data.json", {"images": images, "annotations": annotations})
        write(
            at / f"Human36M_subject{subject}_camera.json",
            {"1": {"R": R, "t": T_MM, "f": FOCAL, "c": PRINCIPAL}},
        )
        write(at / f"Human36M_subject{subject}_joint_3d.json", {"2": {"1": joints}})
        write(at / f"Human36M_subject{subject}_smpl_param.json", {"2": {"1": fits}})
    for subject in (5, 6, 7, 8, 11):
        for what in ("data", "camera", "joint_3d", "smpl_param"):
            write(
                root / "annotations" / f"Human36M_subject{subject}_{what}.json",
                {"images": [], "annotations": []},
            )
    name = "s_09_act_02_subact_01_ca_01_{:06d}.jpg"
    write(
        root / "absnet_output_on_testset.json",
        {name.format(f): np.arange(34).reshape(17, 2) ** 1.5 + f for f in (100, 0, 50)},
    )
    return people


def muco(root: Path, body: Body) -> list[Person]:
    """Pictures 0 (two people, the second nearer; a third, nearest, has no fit) and 1 (one with NaN
    parameters), 2 (one person)."""
    people = [Person.drawn(i, depth=z) for i, z in enumerate((5.0, 4.0, 3.0, 4.0, 4.5))]
    pictures, annotations = (0, 0, 0, 1, 2), []
    for i, (person, picture) in enumerate(zip(people, pictures, strict=True)):
        mesh, joints = person.mesh(body) * 1000, np.zeros((21, 3))
        own = body.joint_regressor("human36") @ mesh
        for row, joint in enumerate(MUCO.names):
            joints[row] = own[HUMAN36.names.index(joint)] if joint in HUMAN36.names else own[8]
        annotations.append(annotation(i, picture, keypoints_cam=joints, keypoints_img=project(joints)))
    fits = {str(i): p.record() for i, p in enumerate(people) if i != 2}
    fits["3"] = people[3].record(shape=[float("nan")] * 10)
    write(
        root / "data" / "MuCo-3DHP.json",
        {"images": [image(i, f=FOCAL, c=PRINCIPAL) for i in range(3)], "annotations": annotations},
    )
    write(root / "data" / "smpl_param.json", fits)
    return people


def coco(root: Path, body: Body, off_px: float = 0.0) -> list[Person]:
    """Five annotations: 0 good, 1 a crowd, 2 without keypoints, 3 without a fit, 4 good with some joints
    hidden."""
    people, annotations, fits = [Person.drawn(i) for i in range(5)], [], {}
    for i, person in enumerate(people):
        mesh = skin(body, person.pose, person.shape)[0]
        keypoints = np.concatenate(
            [weak(body.joint_regressors["coco"] @ mesh), np.full((17, 1), 2.0)], axis=1
        )
        keypoints[:, 0] += off_px
        if i == 4:
            keypoints[3:6] = 0
        more = {
            "iscrowd": int(i == 1),
            "num_keypoints": 0 if i == 2 else 14,
            "keypoints": keypoints.reshape(-1),
        }
        annotations.append(annotation(i, i, **more))
        if i != 3:
            parameters = {"pose": person.pose.reshape(-1), "shape": person.shape}
            fits[str(i)] = {
                "smpl_param": parameters,
                "cam_param": {"s": 200.0 if i else [200.0, 200.0], "t": [310.0, 330.0]},
            }
    write(
        root / "annotations" / "person_keypoints_train2017.json",
        {"images": [image(i) for i in range(5)], "annotations": annotations},
    )
    write(root / "annotations" / "coco_smplify_train.json", fits)
    return people


def weak(points: np.ndarray) -> np.ndarray:
    return points[:, :2] * 200 + (310, 330)


def pw3d(root: Path) -> list[Person]:
    """Three people: (person 1, b), (person 0, b), (person 0, a); the first has a large shape coefficient."""
    people = [Person.drawn(i) for i in range(3)]
    people[0].shape[0] = 4
    images, annotations, found = [], [], []
    camera = {"focal": FOCAL, "princpt": PRINCIPAL, "R": np.eye(3), "t": np.zeros(3)}
    for i, (person_id, sequence) in enumerate(((1, "b"), (0, "b"), (0, "a"))):
        images.append(image(i, sequence=sequence, cam_param=camera))
        gender = ("male", "female", "neutral")[i]
        annotations.append(
            annotation(i + 10, i, person_id=person_id, smpl_param=people[i].record(gender=gender))
        )
        found.insert(
            0, {"annotation_id": i + 10, "keypoints": np.random.default_rng(i).uniform(100, 400, (17, 3))}
        )
    write(root / "data" / "3DPW_latest_test.json", {"images": images, "annotations": annotations})
    write(root / "data" / "darkpose_3dpw_testset_output.json", found)
    return people


def surreal(root: Path) -> list[Person]:
    """Pictures 2, 0, 1, the last with two people; detections are the annotations' numbers."""
    people, camera = [Person.drawn(i) for i in range(4)], {"focal": [600, 600], "princpt": [160, 120]}
    rows = list(zip((2, 0, 1, 1), people, strict=True))
    annotations = [
        annotation(i, n, smpl_param=p.record(gender=("male", "female")[i % 2]))
        for i, (n, p) in enumerate(rows)
    ]
    images = [image(n, cam_param=camera, width=320, height=240) for n in (2, 0, 1)]
    found = [
        {"image_id": n, "annotation_id": i, "keypoints": np.random.default_rng(i).uniform(0, 200, (24, 3))}
        for i, n in ((0, 2), (1, 0), (2, 1))
    ]
    for part in ("train", "val"):
        write(root / "data" / f"{part}.json", {"images": images, "annotations": annotations})
        write(root / "data" / f"hrnet_output_on_{part}set.json", found)
    return people


def freihand(root: Path) -> list[Person]:
    """Three hands; the first training annotation has an empty box."""
    people = [Person.drawn(i, joints=16) for i in range(3)]
    camera = {"R": R, "t": [0.05, 0.02, 0.7], "focal": FOCAL, "princpt": PRINCIPAL}
    images = [image(i, db_idx=i) for i in range(3)]
    for part, split in (("train", "train"), ("eval", "test")):
        annotations = [
            annotation(i, i, bbox=[5, 5, 0, 10] if i == 0 else [100, 100, 90, 80]) for i in range(3)
        ]
        write(root / "data" / f"freihand_{part}_coco.json", {"images": images, "annotations": annotations})

        def hand(p):
            return {"pose": p.pose.reshape(-1), "shape": p.shape}

        joints = np.random.default_rng(3).uniform(0.4, 0.6, (21, 3))
        truth = {
            str(i): {"cam_param": camera, "mano_param": hand(p), "joint_3d": joints}
            for i, p in enumerate(people)
        }
        write(root / "data" / f"freihand_{part}_data.json", truth)
        found = [
            {
                "image_id": i,
                "annotation_id": i,
                "keypoints": np.random.default_rng(i).uniform(0, 200, (21, 2)),
            }
            for i in range(3)
        ]
        write(root / "data" / f"hrnet_output_on_{split}set.json", found)
    return people


def amass(root: Path, subset: str = "CMU") -> np.ndarray:
    """One sequence of 130 frames in ``subset`` and one in another; returns the poses ``(130, 156)``."""
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(130, 156)) * 0.3
    for name in (subset, "Other"):
        path = root / "data" / name / "01" / "01_01_poses.npz"
        path.parent.mkdir(parents=True)
        np.savez(
            path,
            poses=poses,
            betas=rng.normal(size=16),
            trans=np.zeros((130, 3)),
            dmpls=np.zeros((130, 8)),
            gender="male",
        )
    return poses


def every(root: Path, body: Body) -> None:
    """All data sets of pictures, each in its folder below ``root``."""
    for name, make in {"Human36M": human36m, "MuCo": muco, "COCO": coco}.items():
        make(root / name, body)
    for name, make_plain in {"PW3D": pw3d, "SURREAL": surreal, "FreiHAND": freihand}.items():
        make_plain(root / name)
