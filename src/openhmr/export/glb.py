"""People as binary glTF 2.0: skinned meshes on named skeletons, animated where there are several frames."""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.export.gltf import ARRAY_BUFFER, ELEMENT_BUFFER, Gltf
from openhmr.export.motion import RATE_HZ, Clip, Motion, MotionSink, person_ids, rig_of
from openhmr.export.sink import Sink
from openhmr.export.world import HALF_TURN, in_world, world_from_camera
from openhmr.geometry.quaternions import exp, one_hemisphere
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.people import Frame, People
from openhmr.render.suit import suit_colours, suit_of

INFLUENCES = 4
"""Joints that move a vertex, at most: what every reader of glTF knows. The open body has no vertex of more;
of bodies that have, the largest weights are kept."""

_CLOTH = {"name": "suit", "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.65}}
"""White: the colours of the suit are the vertices'."""
_GAMMA = np.float32(2.2)
_NEAR_M = 0.05


class GlbSink(Sink):
    """One file of a clip: :func:`write_clip`, or :func:`write_glb` of a single frame without body
    parameters."""

    def __init__(self, path: Path, rate_hz: float = RATE_HZ) -> None:
        self._path, self._motions = path, MotionSink(path, write_clip, rate_hz)
        self._bare: People | None = None
        self._count = 0

    def __enter__(self) -> "GlbSink":
        return self

    def append(self, frame: Frame) -> None:
        self._count += 1
        people = frame.groups.get("body")
        if self._count == 1 and people is not None and len(people) and people.rig is None:
            self._bare = people
            return
        if self._bare is not None:
            rig_of(self._bare)
        self._motions.append(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bare is None:
            self._motions.__exit__(kind, error, trace)
        elif kind is None:
            write_glb(self._path, self._bare)


def write_glb(path: str | Path, people: People) -> None:
    """Write N people as the nodes ``person_0`` ... (by track id) of one scene, metres, y up, the camera at
    the origin, in the colours of a plain suit; atomic.

    With body parameters they are skinned meshes, whose skeletons hold the pose; without any, plain meshes
    whose nodes are where their root joints are, so that viewers can move people singly.
    """
    if people.rig is not None:
        with MotionSink(Path(path), write_clip) as sink:
            sink.append(Frame(0, {"body": people}))
        return
    gltf, indices, nodes, roots = _begun(), dict[int, int](), [], in_world(people.roots, people.camera)
    placed = in_world(people.vertices, people.camera)
    for person, vertices, root in zip(person_ids(people), placed, roots, strict=True):
        at, name = root.astype(np.float32), f"person_{person}"
        mesh = _mesh(gltf, people.body, name, person, vertices - at, indices)
        nodes.append(gltf.put("nodes", name=name, mesh=mesh, translation=at.tolist()))
    _finish(gltf, people.camera, nodes, path)


def write_clip(path: Path, clip: Clip) -> None:
    """Write everybody in a clip as one file: for each an armature node ``person_7`` with the joints below it,
    and a skinned mesh ``person_7_mesh`` in its T-pose; one animation ``clip`` of them all.

    Key frames are the frames themselves, linear in between. Who is not seen in a frame has scale 0 there.
    glTF knows no shape that depends on the pose, so that meshes of bodies with ``posedirs`` (SMPL's) differ
    by those; those of the open body do not.
    """
    gltf, indices, nodes = _begun(), dict[int, int](), []
    animation: dict[str, Any] = {"name": "clip", "channels": [], "samplers": []}
    for motion in clip.motions:
        armature, joints = _skeleton(gltf, motion)
        mesh = _mesh(
            gltf, motion.body, motion.name, motion.person, motion.rest_vertices, indices, skinned=True
        )
        inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
        inverse[:, 3, :3] = -motion.rest_joints  # columns one after another, so the last row here
        matrices = gltf.array(inverse.reshape(-1, 16))
        skin = gltf.put(
            "skins", name=motion.name, joints=joints, inverseBindMatrices=matrices, skeleton=armature
        )
        nodes += [armature, gltf.put("nodes", name=f"{motion.name}_mesh", mesh=mesh, skin=skin)]
        if len(clip.times_s) > 1:
            _animate(gltf, animation, motion, joints)
            _hide(gltf, animation, motion, armature, clip)
    if animation["channels"]:
        gltf.put("animations", **animation)
    _finish(gltf, clip.camera, nodes, path)


def _begun() -> Gltf:
    gltf = Gltf()
    gltf.put("materials", **_CLOTH)
    return gltf


def _finish(gltf: Gltf, camera: Camera, nodes: list[int], path: str | Path) -> None:
    """Add the camera, which looks along -z with y up as glTF's do, and write."""
    height, width = camera.image_size
    focal = camera.focal_px
    lens = gltf.put(
        "cameras",
        type="perspective",
        perspective={
            "yfov": 2 * float(np.arctan2(height / 2, focal[1])),
            "aspectRatio": float(width * focal[1] / (height * focal[0])),
            "znear": _NEAR_M,
        },
    )
    turn = matrix_to_axis_angle(world_from_camera(camera) @ HALF_TURN)
    nodes.append(gltf.put("nodes", name="camera", camera=lens, rotation=_last_real(exp(turn)).tolist()))
    gltf.document |= {"scene": 0, "scenes": [{"nodes": nodes}]}
    gltf.save(path)


def _mesh(
    gltf: Gltf,
    body: Body,
    name: str,
    person: int,
    vertices: NDArray,
    indices: dict[int, int],
    *,
    skinned: bool = False,
) -> int:
    """The mesh of a person; its triangles are in the file once a body, by ``indices``."""
    if id(body) not in indices:
        kind = np.uint16 if body.num_vertices < 65535 else np.uint32
        indices[id(body)] = gltf.array(body.faces.astype(kind).ravel(), ELEMENT_BUFFER)
    # glTF's vertex colours are linear light; the fourth is opacity, for alignment to four bytes.
    colours = np.pad(suit_colours(body, person) ** _GAMMA, ((0, 0), (0, 1)), constant_values=1)
    single = vertices.astype(np.float32)
    attributes = {
        "POSITION": gltf.array(single, ARRAY_BUFFER, bounds=True),
        # Those of the cloth, so that no relief below it is shaded.
        "NORMAL": gltf.array(suit_of(body).shape(single)[1].astype(np.float32), ARRAY_BUFFER),
        "COLOR_0": gltf.array(np.rint(colours * 255).astype(np.uint8), ARRAY_BUFFER, normalized=True),
    }
    if skinned:
        joints, weights = strongest(body.weights)
        attributes["JOINTS_0"] = gltf.array(joints, ARRAY_BUFFER)
        attributes["WEIGHTS_0"] = gltf.array(weights, ARRAY_BUFFER, normalized=True)
    primitive = {"attributes": attributes, "indices": indices[id(body)], "material": 0}
    return gltf.put("meshes", name=name, primitives=[primitive])


def strongest(weights: NDArray) -> tuple[NDArray, NDArray[np.uint16]]:
    """The :data:`INFLUENCES` largest of ``weights (V,J)`` a vertex: joints ``(V,4)`` as small whole numbers,
    and weights ``(V,4)`` that sum to exactly 65535; joints without weight are 0."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    order = np.pad(order, ((0, 0), (0, INFLUENCES - order.shape[1])))
    kept = np.take_along_axis(weights, order, 1).astype(np.float64)
    kept[:, weights.shape[1] :] = 0
    whole = np.rint(kept / kept.sum(1, keepdims=True) * 65535).astype(np.int64)
    whole[:, 0] += 65535 - whole.sum(1)
    joints = np.where(whole > 0, order, 0).astype(np.uint8 if weights.shape[1] <= 256 else np.uint16)
    return joints, whole.astype(np.uint16)


def _skeleton(gltf: Gltf, motion: Motion) -> tuple[int, list[int]]:
    """The armature's node and those of the joints, in the pose of the first frame."""
    parents, turns = motion.body.parents.tolist(), _last_real(exp(motion.pose[0]))
    places = np.concatenate([motion.root[:1], motion.bones[1:]]).astype(np.float32)
    first = len(gltf.document.get("nodes", ()))
    armature = gltf.put("nodes", name=motion.name, children=[first + 1])
    joints = [first + 1 + j for j in range(len(parents))]
    for j, name in enumerate(motion.joint_names):
        node: dict[str, Any] = {
            "name": name,
            "translation": places[j].tolist(),
            "rotation": turns[j].tolist(),
        }
        if below := [joints[k] for k, parent in enumerate(parents) if parent == j]:
            node["children"] = below
        gltf.put("nodes", **node)
    return armature, joints


def _animate(gltf: Gltf, animation: dict[str, Any], motion: Motion, joints: list[int]) -> None:
    times = gltf.array(motion.times_s.astype(np.float32), bounds=True)
    turns = _last_real(one_hemisphere(exp(motion.pose))).astype(np.float32)
    for j, node in enumerate(joints):
        _channel(animation, node, "rotation", times, gltf.array(turns[:, j]))
    _channel(animation, joints[0], "translation", times, gltf.array(motion.root.astype(np.float32)))


def _hide(gltf: Gltf, animation: dict[str, Any], motion: Motion, armature: int, clip: Clip) -> None:
    """Scale 0 on the frames on which a person is not seen."""
    seen = np.zeros(len(clip.times_s), bool)
    seen[motion.frames] = True
    if seen.all():
        return
    keys = np.flatnonzero(np.concatenate([[True], seen[1:] != seen[:-1]]))
    times = gltf.array(clip.times_s[keys].astype(np.float32), bounds=True)
    scales = np.repeat(seen[keys, None], 3, 1).astype(np.float32)
    _channel(animation, armature, "scale", times, gltf.array(scales), "STEP")


def _last_real(quaternions: NDArray) -> NDArray:
    """Quaternions ``(...,4)`` as x, y, z, w, which is glTF's order."""
    return np.roll(quaternions, -1, axis=-1)


def _channel(
    animation: dict[str, Any], node: int, path: str, times: int, values: int, kind: str = "LINEAR"
) -> None:
    sampler = {"input": times, "output": values, "interpolation": kind}
    animation["samplers"].append(sampler)
    target = {"node": node, "path": path}
    animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})
