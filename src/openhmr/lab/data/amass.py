"""AMASS, for Pose2Mesh: motion of SMPL bodies, seen by the four cameras of Human3.6M from ten metres.

Source: docs/originals/pose2mesh.md, "AMASS".
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.io.arrays import read_npz
from openhmr.joints import SMPL
from openhmr.lab.data.types import IndexedDataset, Sample

CAMERAS = np.array(
    [
        [
            [-0.9153617, 0.40180838, 0.02574755],
            [0.05154812, 0.18037356, -0.9822465],
            [-0.39931902, -0.89778364, -0.18581952],
        ],
        [
            [0.92816836, 0.37215385, 0.00224838],
            [0.08166409, -0.1977723, -0.9768404],
            [-0.36309022, 0.9068559, -0.2139576],
        ],
        [
            [-0.91415495, -0.40277803, -0.04572295],
            [-0.04562341, 0.2143085, -0.97569996],
            [0.4027893, -0.8898549, -0.21428728],
        ],
        [
            [0.91415626, -0.40060705, 0.06190599],
            [-0.05641001, -0.2769532, -0.9592262],
            [0.40141782, 0.8733905, -0.27577674],
        ],
    ]
)
"""World-to-camera rotations of Human3.6M."""
FOCAL_PX, PRINCIPAL_PX, DISTANCE_M, SIZE_PX = 1500.0, 500.0, 10.0, 1000
SUBSETS = {"pose2mesh_net": ("CMU",), "posenet": ("CMU", "BML")}
"""What a folder's name must contain to be used, by the network that is trained."""
EVERY = {"cmu": 60, "mpi_mosh": 10, "bmlrub": 10, "bmlmovi": 10}
OTHERS_EVERY = 5
"""Every which frame of other subsets is used."""
MAX_NUMBERS = 200_000_000


class AMASS(IndexedDataset):
    """Every n-th frame of ``root/data/<subset>/<sequence>/*_poses.npz``, once a camera. The body is neutral
    and stays in its place.

    The first 72 numbers of a pose are used, so the fingers of SMPL-H's two hand joints move SMPL's hands
    (official). Folders' names are compared in ``any_case`` if asked: the original looks for ``CMU`` and
    ``BML`` while its README names folders ``cmu``. Files come in the order of their names (the original's
    order is the file system's). Raises :class:`InputError`.
    """

    def __init__(
        self,
        root: str | Path,
        model: Literal["pose2mesh_net", "posenet"] = "pose2mesh_net",
        any_case: bool = False,
    ) -> None:
        folder = Path(root) / "data"
        fold = str.upper if any_case else str
        wanted = SUBSETS[model]
        subsets = sorted(
            p for p in folder.glob("*") if p.is_dir() and any(part in fold(p.name) for part in wanted)
        )
        self._frames: list[tuple[Path, NDArray[np.float32], NDArray[np.float32]]] = []
        for subset in subsets:
            for path in sorted(subset.glob("*/*_poses.npz")):
                self._add(path, EVERY.get(subset.name.lower(), OTHERS_EVERY))
        if not self._frames:
            raise InputError(
                f"{folder} holds no motion of {' or '.join(wanted)}; unpack AMASS as "
                f"data/CMU/<sequence>/*_poses.npz, "
                "or set QUIRKS.amass_any_case if the folder's name is in lower case"
            )

        self.rows = [(frame, camera) for frame in range(len(self._frames)) for camera in range(len(CAMERAS))]

    def _add(self, path: Path, every: int) -> None:
        arrays = read_npz(path, MAX_NUMBERS, names=("poses", "betas"))
        if "poses" not in arrays or "betas" not in arrays:
            raise InputError(f"{path} has no poses and betas; download this motion of AMASS again")
        poses, betas = (np.asarray(arrays[k], np.float32) for k in ("poses", "betas"))
        if poses.ndim != 2 or poses.shape[1] < 72 or betas.ndim != 1 or len(betas) < 10:
            raise InputError(
                f"{path} holds poses {poses.shape} and betas {betas.shape}; (N, 156) and (16,) are needed: "
                f"take SMPL+H motion"
            )
        if not (np.isfinite(poses).all() and np.isfinite(betas).all()):
            raise InputError(f"{path} holds numbers that are not finite; remove it or download it again")
        self._frames += [(path, pose.reshape(24, 3), betas[:10]) for pose in poses[::every, :72]]

    def __getitem__(self, index: int) -> Sample:
        frame, camera = self.rows[index]
        path, stored, betas = self._frames[frame]
        pose = stored.copy()
        pose[0] = matrix_to_axis_angle(CAMERAS[camera] @ axis_angle_to_matrix(pose[0].astype(np.float64)))
        return Sample.without_joints(
            SMPL,
            dataset="AMASS",
            sample_id=index,
            image_path=path,
            image_hw=(SIZE_PX, SIZE_PX),
            box_xywh=np.zeros(4),
            crop_xywh=np.zeros(4),
            focal_px=np.full(2, FOCAL_PX),
            principal_px=np.full(2, PRINCIPAL_PX),
            root_depth_m=DISTANCE_M,
            has_3d=False,
            pose=pose,
            betas=betas,
            trans_m=np.array([0, 0, DISTANCE_M], np.float32),
            has_fit=True,
            exact_fit=True,
        )
