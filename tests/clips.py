"""Clips of people whose poses are known."""

from dataclasses import replace

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import Frame, People, Rig

CAMERA = Camera.from_focal(900, (720, 1280), "assumed")


def moving_people(
    body: Body, seen: list[list[int]], *, seed: int = 0, camera: Camera = CAMERA, tracked: bool = True
) -> list[Frame]:
    """A frame for each of the lists ``seen`` of track ids, at 25 frames a second: everybody turns, moves all
    limbs and walks, keeping one shape."""
    rng = np.random.default_rng(seed)
    count = max((max(ids) for ids in seen if ids), default=0) + 1
    shapes = rng.normal(size=(count, body.num_betas)).astype(np.float32)
    swing = rng.normal(0, 0.5, (count, body.num_joints, 3))
    phase = rng.uniform(0, 2 * np.pi, swing.shape)
    frames = []
    for index, ids in enumerate(seen):
        time = index / 25
        pose = (swing * np.sin(4 * time + phase))[ids].astype(np.float32)
        pose[:, 0] += (np.pi, 0, 0)
        place = np.array([[i - 0.5 + 0.3 * time, 0.1 * i, 4 + 0.2 * np.sin(time + i)] for i in ids])
        rig = Rig(pose, shapes[ids], place.reshape(-1, 3))
        vertices = skin(body, rig.pose, rig.betas)[0] + rig.translation[:, None].astype(np.float32)
        points = Keypoints(COCO, np.ones((len(ids), COCO.size, 3), np.float32), camera.image_size)
        people = People(body, camera, points, vertices.astype(np.float32), rig)
        if not ids:  # as of a pipeline: where nobody is, nobody has parameters
            people = replace(people, rig=None)
        if tracked:
            people = replace(people, track_ids=np.array(ids, np.int64))
        frames.append(Frame(index, {"body": people}, time))
    return frames
