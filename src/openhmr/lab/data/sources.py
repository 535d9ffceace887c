"""Which files the two originals read of each data set, and where they come from."""

from dataclasses import dataclass

I2L, POSE2MESH, BOTH = "I2L-MeshNet", "Pose2Mesh", "both"
NAMES = ("Human36M", "MuCo", "MSCOCO", "COCO", "PW3D", "FreiHAND", "AMASS", "SURREAL")

_READMES = "the links in the README of I2L-MeshNet or Pose2Mesh"
_ROOTNET = "RootNet's outputs, linked in the README of I2L-MeshNet"
_DETECTIONS = "the 2D detections linked in the README of Pose2Mesh"
_OWN = "the data set's own page (registration)"
_COCO = "cocodataset.org, 2017"


@dataclass(frozen=True)
class Needed:
    """A path below the data set's folder (with wildcards), which system reads it, and where it comes from."""

    path: str
    system: str
    source: str


def files_of(name: str) -> list[Needed]:
    """The files of the data set ``name``."""
    rows: dict[str, list[tuple[str, str, str]]] = {
        "Human36M": [
            *(
                (f"annotations/Human36M_subject{s}_{what}.json", BOTH, _READMES)
                for s in (1, 5, 6, 7, 8, 9, 11)
                for what in ("data", "camera", "joint_3d", "smpl_param")
            ),
            ("J_regressor_h36m_correct.npy", BOTH, "the data folder of either repository"),
            ("images/*", I2L, _READMES),
            ("rootnet_output/bbox_root_human36m_output.json", I2L, _ROOTNET),
            ("absnet_output_on_testset.json", POSE2MESH, _DETECTIONS),
        ],
        "MuCo": [
            ("data/MuCo-3DHP.json", BOTH, _READMES),
            ("data/smpl_param.json", BOTH, _READMES),
            ("data/augmented_set/*", I2L, _READMES),
        ],
        "MSCOCO": [
            ("annotations/person_keypoints_train2017.json", I2L, _COCO),
            ("annotations/person_keypoints_val2017.json", I2L, _COCO),
            ("annotations/coco_smplifyx_train.json", I2L, _READMES),
            ("images/train2017/*", I2L, _COCO),
            ("images/val2017/*", I2L, _COCO),
            ("rootnet_output/bbox_root_coco_output.json", I2L, _ROOTNET),
            ("J_regressor_coco_hip_smpl.npy", I2L, "the data folder of the repository"),
        ],
        "COCO": [
            ("annotations/person_keypoints_train2017.json", POSE2MESH, _COCO),
            ("annotations/coco_smplify_train.json", POSE2MESH, _READMES),
            ("J_regressor_coco.npy", POSE2MESH, "the data folder of the repository"),
        ],
        "PW3D": [
            ("data/3DPW_test.json", I2L, _READMES),
            ("data/imageFiles/*", I2L, _OWN),
            ("rootnet_output/bbox_root_pw3d_output.json", I2L, _ROOTNET),
            ("data/3DPW_latest_test.json", POSE2MESH, _READMES),
            ("data/darkpose_3dpw_testset_output.json", POSE2MESH, _DETECTIONS),
        ],
        "FreiHAND": [
            *(
                (f"data/freihand_{part}_{what}.json", BOTH, _READMES)
                for part in ("train", "eval")
                for what in ("coco", "data")
            ),
            ("rootnet_output/bbox_root_freihand_output.json", I2L, _ROOTNET),
            *(
                (f"data/hrnet_output_on_{split}set.json", POSE2MESH, _DETECTIONS)
                for split in ("train", "test")
            ),
        ],
        "AMASS": [
            (
                "data/*CMU*/*/*_poses.npz",
                POSE2MESH,
                "amass.is.tue.mpg.de (registration): SMPL+H motion, body data",
            )
        ],
        "SURREAL": [
            *((f"data/{part}.json", POSE2MESH, _READMES) for part in ("train", "val")),
            *((f"data/hrnet_output_on_{part}set.json", POSE2MESH, _DETECTIONS) for part in ("train", "val")),
        ],
    }
    return [Needed(*row) for row in rows[name]]
