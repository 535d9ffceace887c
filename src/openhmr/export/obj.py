"""Wavefront OBJ."""

from pathlib import Path

from openhmr.export.motion import person_ids
from openhmr.export.world import in_world
from openhmr.io.atomic import atomic_path
from openhmr.people import People


def write_obj(path: str | Path, people: People) -> None:
    """Write N people as the objects ``person_0`` ... (by track id) of one file: metres, y up, the camera at
    the origin; atomic."""
    faces, count = people.faces + 1, people.vertices.shape[1]
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write("# openhmr: metres, y up, camera at the origin\n")
        meshes = zip(person_ids(people), in_world(people.vertices, people.camera), strict=True)
        for i, (person, turned) in enumerate(meshes):
            file.write(f"o person_{person}\n")
            file.write("v %.5f %.5f %.5f\n" * count % tuple(turned.ravel().tolist()))
            file.write("f %d %d %d\n" * len(faces) % tuple((faces + i * count).ravel().tolist()))
