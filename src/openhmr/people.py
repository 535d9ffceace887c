"""What flows through everything: 2D poses in; people before a camera, and frames of them, out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.bodies.stature import grown_betas, stature
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet, get_joint_set
from openhmr.keypoints import Keypoints, Part, Rows, several

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = "openhmr-people-1"
MAX_ELEMENTS = 200_000_000
SAVED = (SMPL, HUMAN36, COCO, MANO)
"""Whose joints are saved where the body has them, besides those of the keypoints' own set."""


@dataclass(frozen=True, eq=False)
class Rig:
    """Parameters of the body model: ``pose (N,J,3)`` axis-angle relative to the parent joint (root: camera
    axes, radians), ``betas (N,S)``, ``translation (N,3)`` metres, added after skinning."""

    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    translation: NDArray[np.float64]

    def __getitem__(self, rows: Rows) -> "Rig":
        return Rig(*(getattr(self, f.name)[several(rows)] for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Sigma:
    """Standard deviations in metres of root-relative positions, ``vertices (N,V,3)`` and ``joints (N,J,3)``
    (of the keypoints' joint set), along the axes of the virtual camera that looks at the person (right, down,
    away)."""

    vertices: NDArray[np.float32]
    joints: NDArray[np.float32]

    def __getitem__(self, rows: Rows) -> "Sigma":
        return Sigma(*(getattr(self, f.name)[several(rows)] for f in fields(self)))


@dataclass(frozen=True, eq=False)
class People:
    """N >= 0 instances of one ``body`` before one ``camera``.

    ``vertices (N,V,3)`` float32 in metres, camera axes (x right, y down, z forward), placed so that
    ``camera`` projects them onto the picture. ``keypoints`` are the 2D joints that were lifted, or that the
    image network saw. ``rig`` are body-model parameters (:meth:`parametric` is their mesh), ``sigma`` how
    sure each vertex is, ``track_ids (N,)`` who is who from frame to frame, ``lixel_vertices (N,V,3)`` the
    mesh as an image network drew it (:meth:`lixel`): each None where the method does not tell.
    """

    body: Body
    camera: Camera
    keypoints: Keypoints
    vertices: NDArray[np.float32]
    rig: Rig | None = None
    sigma: Sigma | None = None
    track_ids: NDArray[np.int64] | None = None
    lixel_vertices: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, rows: Rows) -> "People":
        """Some of the people: by number, slice, mask or list of numbers; always :class:`People`."""
        try:
            picked = several(rows)
            chosen: Any = {
                name: None if (value := getattr(self, name)) is None else value[picked]
                for name in ("keypoints", "vertices", "rig", "sigma", "track_ids", "lixel_vertices")
            }
        except IndexError as error:
            raise IndexError(f"{len(self)} people have no {rows!r}: {error}") from None
        return replace(self, **chosen)

    @property
    def faces(self) -> NDArray[np.int32]:
        """``(F,3)``: vertex numbers of each triangle, the same for everybody."""
        return self.body.faces

    def joints(self, name: str | JointSet) -> NDArray[np.float32]:
        """Joints ``(N,J,3)`` in metres, camera axes, of a joint set (see :data:`openhmr.joints.JOINT_SETS`).

        Raises :class:`InputError` if the body has no regressor for it.
        """
        regressor = self.body.joint_regressor(get_joint_set(name))
        return np.matmul(regressor, self.vertices).astype(np.float32, copy=False)

    @property
    def roots(self) -> NDArray[np.float64]:
        """``(N,3)``: where everybody's root joint (pelvis, wrist) is, in metres, camera axes."""
        return np.matmul(self.body.root_regressor, self.vertices).astype(np.float64)

    @property
    def heights(self) -> NDArray[np.float64]:
        """How tall everybody would stand upright ``(N,)``, in metres, as far as the posed meshes tell
        (:func:`~openhmr.bodies.stature.stature`)."""
        return stature(self.body, self.vertices)

    def with_heights(self, height_m: ArrayLike) -> "People":
        """The same people, as tall as they really are: one number for all, or ``(N,)``.

        A picture does not tell small and near from tall and far; so everything grows about the camera's
        centre, and projects onto the same pixels. People with a ``rig`` become the body of its parameters
        that is most like the grown one (some 4 mm from it where they grow by 5 per cent, about a pixel): the
        mesh differs from :meth:`parametric` by what it did before, grown along. Raises :class:`InputError`
        for other shapes and for heights that no person has.
        """
        try:
            given = np.asarray(height_m, np.float64)
        except (ValueError, TypeError):  # words, complex numbers, lists of different lengths
            given = np.array(np.nan)
        if given.shape not in ((), (len(self),)) or not np.all((given > 0.3) & (given < 2.8)):
            raise InputError(
                f"heights are {height_m!r}; give one from 0.3 to 2.8 metres for all, or one for each of "
                f"the {len(self)} people"
            )
        height = np.broadcast_to(given, len(self))
        scale = (height / self.heights)[:, None]
        grown = scale[..., None].astype(np.float32)
        vertices, rig, sigma = self.vertices * grown, self.rig, self.sigma
        if rig is not None:
            before = self.parametric()
            betas = grown_betas(self.body, rig.pose, rig.betas, scale[:, 0], height)
            after = skin(self.body, rig.pose, betas)[0]
            # The root joint of another shape lies elsewhere; it must come to its scaled place.
            translation = before.roots * scale - np.matmul(self.body.root_regressor, after)
            rig = Rig(rig.pose, betas, translation)
            vertices += after + translation[:, None].astype(np.float32) - before.vertices * grown
        if sigma is not None:
            sigma = Sigma(
                *(getattr(sigma, f.name) * scale[..., None].astype(np.float32) for f in fields(sigma))
            )
        drawn = None if self.lixel_vertices is None else self.lixel_vertices * grown
        return replace(self, vertices=vertices, rig=rig, sigma=sigma, lixel_vertices=drawn)

    def reprojection_px(self) -> NDArray[np.float64]:
        """Median distance ``(N,)`` in pixels between present 2D joints and the mesh's projected joints."""
        seen = self.camera.project(self.joints(self.keypoints.joint_set))
        distance = np.linalg.norm(seen - self.keypoints.points[..., :2], axis=-1)
        return np.nanmedian(np.where(self.keypoints.points[..., 2] > 0, distance, np.nan), axis=-1)

    def replaced(self, rows: list[int], others: "People") -> "People":
        """These people with ``others`` (of the same body, camera and joint set) in the place of ``rows``.

        What only some of them have is kept where all can have it: no deviations unless both have them.
        """

        def put(mine: Any, theirs: Any) -> Any:
            if mine is None or theirs is None:
                return None
            if isinstance(mine, np.ndarray):
                out = mine.copy()
                out[rows] = theirs
                return out
            changed = {f.name: put(getattr(mine, f.name), getattr(theirs, f.name)) for f in fields(mine)}
            return type(mine)(**changed)

        keypoints = replace(
            self.keypoints,
            points=put(self.keypoints.points, others.keypoints.points),
        )
        theirs = others.vertices if others.lixel_vertices is None else others.lixel_vertices
        drawn = None if self.lixel_vertices is None else put(self.lixel_vertices, theirs)
        return replace(
            self,
            keypoints=keypoints,
            vertices=put(self.vertices, others.vertices),
            rig=put(self.rig, others.rig),
            sigma=put(self.sigma, others.sigma),
            lixel_vertices=drawn,
        )

    def parametric(self) -> "People":
        """The same people with the mesh that their ``rig`` poses: always a whole body, without sigma.

        Skinned once, however often it is asked for. Raises :class:`InputError` where there is no rig.
        """
        return self._skinned

    @cached_property
    def _skinned(self) -> "People":
        if self.rig is None:
            raise InputError(
                "these people have no body parameters; lift them through a Pipeline, which fits some, or "
                "recover them from a photo"
            )
        skinned, _ = skin(self.body, self.rig.pose, self.rig.betas)
        moved = skinned + self.rig.translation[:, None].astype(np.float32)
        return replace(self, vertices=moved, sigma=None)

    def lixel(self) -> "People":
        """The same people with the mesh that the image network drew, vertex by vertex: it may come apart
        where the network is unsure. Raises :class:`InputError` where there is none."""
        if self.lixel_vertices is None:
            raise InputError("no image network drew these people; recover them from a photo")
        return replace(self, vertices=self.lixel_vertices)

    def mesh(self, person: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Vertices ``(V,3)`` and faces ``(F,3)`` of one person, as mesh libraries take them."""
        return self[person].vertices[0], self.faces

    def overlay(self, image: "NDArray[np.uint8] | Image | str | Path | None" = None) -> NDArray[np.uint8]:
        """Picture of the meshes over the picture ``image`` that they were seen in, an array (height, width,
        3) of RGB uint8, a PIL image or a file (else over a blank canvas), with a side view.

        Raises :class:`InputError` for pictures of another size than the camera's.
        """
        from openhmr.io.photos import photo_of
        from openhmr.render.overlay import canvas_for, overlay_picture

        pixels = None if image is None else photo_of(image).image
        if pixels is not None and pixels.shape[:2] != self.camera.image_size:
            raise InputError(
                f"the picture has (height, width) {pixels.shape[:2]}, but these people were seen in one of "
                f"{self.camera.image_size}; give that one"
            )
        return overlay_picture(self, canvas_for(self, pixels))

    def arrays(self) -> dict[str, NDArray]:
        """What :meth:`save` writes, by name."""
        keypoints = self.keypoints
        out: dict[str, NDArray | None] = {
            "format": np.array(FORMAT),
            "vertices": self.vertices,
            "faces": self.faces,
            "camera_K": self.camera.K,
            "camera_source": np.array(self.camera.source),
            "camera_translation": self.roots,
            "camera_down": self.camera.down,
            "image_size": np.array(self.camera.image_size),
            "pose2d": keypoints.points,
            "joint_set": np.array(keypoints.joint_set.name),
            "boxes": keypoints.boxes,
            "scores": keypoints.scores,
            "track_ids": self.track_ids,
            "vertices_lixel": self.lixel_vertices,
            "body_hash": np.array(self.body.content_hash()),
        }
        # Sets that borrow another's regressor would repeat its rows.
        out |= {
            f"joints_{joint_set.name}": self.joints(joint_set)
            for joint_set in (*SAVED, keypoints.joint_set)
            if not joint_set.regressor and self.body.has_joint_regressor(joint_set)
        }
        if self.sigma is not None:
            out |= {"vertices_sigma": self.sigma.vertices, "joints_sigma": self.sigma.joints}
        if self.rig is not None:
            out |= {"pose": self.rig.pose, "betas": self.rig.betas, "translation_param": self.rig.translation}
            out["vertices_param"] = self.parametric().vertices
        return {name: value for name, value in out.items() if value is not None}

    def save(self, path: str | Path) -> None:
        """Write everything but the body itself to ``path`` (.npz), atomically; :meth:`load` reads it."""
        if Path(path).suffix != ".npz":
            raise InputError(
                f"{path} does not end in .npz, the format that people are saved in; choose such a name"
            )
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **self.arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path, body: Body | None = None) -> "People":
        """Read what :meth:`save` (or an earlier version's result.npz) wrote, for ``body``: by default the
        open one.

        Raises :class:`InputError` if the file is no such file, or of another body.
        """
        if body is None:
            from openhmr.bodies.shipped import open_body

            body = open_body()
        data = read_npz(path, MAX_ELEMENTS)
        missing = [
            k for k in ("vertices", "faces", "camera_K", "image_size", "pose2d", "joint_set") if k not in data
        ]
        if missing:
            raise InputError(f"{path} lacks {', '.join(missing)}; give a result.npz that openhmr wrote")
        version = str(data.get("format", FORMAT))
        if version != FORMAT:
            raise InputError(f"{path} has format {version!r}; {FORMAT!r} is read: update openhmr")
        return _from_arrays(cls, data, body, path)


def _from_arrays(cls: type[People], data: Mapping[str, NDArray], body: Body, path: str | Path) -> People:
    vertices = data["vertices"]
    same = data["faces"].shape == body.faces.shape and np.array_equal(data["faces"], body.faces)
    if not same or vertices.ndim != 3 or vertices.shape[1:] != (body.num_vertices, 3):
        given = f"vertices of shape {vertices.shape} and {len(data['faces'])} faces"
        raise InputError(
            f"{path} holds {given}, which are not those of the body with {body.num_vertices} vertices; load "
            f"it with the "
            "body that it was made with"
        )
    people, points = len(vertices), data["pose2d"]
    joints = get_joint_set(str(data["joint_set"]))
    shapes = {
        "pose2d": (people, joints.size, 3),
        "boxes": (people, 4),
        "scores": (people,),
        "track_ids": (people,),
        "vertices_sigma": vertices.shape,
        "vertices_lixel": vertices.shape,
        "joints_sigma": (people, joints.size, 3),
        "pose": (people, body.num_joints, 3),
        "betas": (people, body.num_betas),
        "translation_param": (people, 3),
    }
    for name, shape in shapes.items():
        if name in data and data[name].shape != shape:
            raise InputError(
                f"{path} holds {name} of shape {data[name].shape}; it must be {shape}: the file is damaged"
            )
    source = str(data.get("camera_source", "given"))
    if source not in ("given", "exif", "assumed"):
        raise InputError(
            f"{path} says its camera is {source!r}; given, exif or assumed is known: the file is damaged"
        )
    size = tuple(int(n) for n in data["image_size"])
    camera = Camera(data["camera_K"], size, source, down=data.get("camera_down"))  # type: ignore[arg-type]
    return cls(
        body,
        camera,
        Keypoints(
            joints, points.astype(np.float32), camera.image_size, data.get("boxes"), data.get("scores")
        ),
        vertices.astype(np.float32, copy=False),
        Rig(data["pose"], data["betas"], data["translation_param"]) if "pose" in data else None,
        Sigma(data["vertices_sigma"], data["joints_sigma"]) if "vertices_sigma" in data else None,
        data.get("track_ids"),
        data.get("vertices_lixel"),
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """Everybody in one picture of a stream: body and hands together.

    ``index`` counts from 0, ``time_s`` is the picture's time in a video, ``name`` what it is called (a file's
    stem). ``groups`` hold the people by part. ``image (height, width, 3)`` is the picture that they were seen
    in, free of lens distortion, or None.
    """

    index: int
    groups: Mapping[Part, People]
    time_s: float | None = None
    name: str | None = None
    image: NDArray[np.uint8] | None = None

    @property
    def people(self) -> People:
        """The bodies."""
        return self.groups["body"]
