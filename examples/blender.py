"""A clip in Blender: imports the GLB and the BVH of a person, says what is in them, and renders a frame.

openhmr export out/frames --fps 25 --formats glb,bvh --out out/clip
blender --background --python examples/blender.py -- out/clip/mesh.glb out/clip/person_0.bvh 25 frame.png

or, with `pip install bpy`, `python` in the place of `blender --background --python`."""

import sys
from pathlib import Path

import bpy
from mathutils import Vector

glb, bvh, fps, picture = sys.argv[sys.argv.index("--") + 1 :]

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = int(fps)  # before the import: glTF counts in seconds, Blender in frames
bpy.ops.import_scene.gltf(filepath=glb)
for thing in bpy.data.objects:
    if thing.type == "ARMATURE":
        bones = [bone.name for bone in thing.data.bones]
        print(f"{thing.name}: {len(bones)} bones: {' '.join(bones)}")
(action,) = bpy.data.actions
last = round(action.frame_range[1])
print(f"{action.name}: frames {round(action.frame_range[0])} to {last}, {len(action.slots)} people")


def heads(armature: bpy.types.Object, frame: int) -> dict[str, Vector]:
    """Where the bones begin."""
    scene.frame_set(frame)
    return {bone.name: armature.matrix_world @ bone.head for bone in armature.pose.bones}


# The same skeleton from the BVH, whose first frame is 1.
bpy.ops.import_anim.bvh(filepath=bvh, axis_forward="-Z", axis_up="Y")
rig, twin = bpy.data.objects[Path(bvh).stem], bpy.context.object
count = round(twin.animation_data.action.frame_range[1])
worst = 0.0
for frame in range(count):
    here, there = heads(rig, frame), heads(twin, frame + 1)
    worst = max(worst, *((here[name] - there[name]).length for name in there))
print(f"{Path(bvh).name}: {len(twin.data.bones)} bones, {count} frames; it differs by {1000 * worst:.3f} mm")
bpy.data.objects.remove(twin)

# As the camera of the pictures sees it.
for shape in [thing for thing in bpy.data.objects if thing.name.startswith("Icosphere")]:
    bpy.data.objects.remove(shape)  # how Blender draws bones
scene.frame_set(last // 2)
scene.camera = bpy.data.objects["camera"]
sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
sun.data.energy, sun.rotation_euler = 3, Vector((0.7, 0.2, 0.3))
scene.collection.objects.link(sun)
scene.world = bpy.data.worlds.new("sky")
scene.world.color = (0.6, 0.6, 0.62)
scene.render.engine, scene.cycles.samples = "CYCLES", 16
scene.render.resolution_x, scene.render.resolution_y = 540, 960
scene.render.filepath = str(Path(picture).resolve())
bpy.ops.render.render(write_still=True)
print(f"look at {picture}")
