"""Pictures of clothed people by OpenGL without a window (EGL; software or GPU). Needs the ``synth`` extra."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.lab.synth import shaders
from openhmr.lab.synth.light import Place
from openhmr.lab.synth.outfits import PATTERNS, Look
from openhmr.lab.synth.scene import ANKLES, CHEST, HIPS, SHOULDERS, WRISTS, Camera, Figure, Person
from openhmr.lab.synth.textures import draw_logos, draw_patterns, item_texture, part_levels, read_rgba
from openhmr.lab.synth.wardrobe import Item, Wardrobe

SAMPLES = 2
"""People are drawn at twice the picture's resolution each way, then averaged."""
TEXTURE_SIDE = 512
SHADOW_SIDE = 192
MAX_PEOPLE = 3
SUIT_BIAS_M, SHOE_BIAS_M = 0.012, 0.003
EYE_HEIGHT_M = 1.6
EDGE_M, LOGO_ABOVE_M = 0.03, 0.05
BALLS = {
    0: 0.15,
    4: 0.07,
    5: 0.07,
    7: 0.06,
    8: 0.06,
    10: 0.06,
    11: 0.06,
    15: 0.11,
    6: 0.15,
    20: 0.05,
    21: 0.05,
}
"""Joint -> radius (m) of a ball that keeps sky light off the ground nearby."""
LONGEST_SHADOW_M = 6.0


def open_context() -> Any:
    """An OpenGL context without a window. Raises :class:`InputError` where there is none to be had."""
    try:
        import moderngl
    except ImportError:
        raise InputError(
            "the package moderngl is not installed; install the synth extra: pip install 'openhmr[synth]'"
        ) from None
    try:
        return moderngl.create_standalone_context(backend="egl")  # type: ignore[arg-type]
    except Exception as error:  # every driver fails in its own way
        raise InputError(
            f"no OpenGL context through EGL ({str(error)[:80]}); on Debian install libegl1 libegl-mesa0 "
            f"libgl1-mesa-dri"
        ) from None


def write(program: Any, **uniforms: Any) -> None:
    """Set uniforms by name; matrices as they lie in memory (OpenGL reads columns)."""
    for name, value in uniforms.items():
        if isinstance(value, int):
            program[name].value = value
        else:
            program[name].write(np.ascontiguousarray(value, "f4").tobytes())


def shaded_area(person: Person, place: Place) -> tuple[float, float, float]:
    """Square of ground (centre x, z, half side; metres) that a person's shadow may reach."""
    low, high = person.vertices.min(0), person.vertices.max(0)
    toward = place.key_direction / max(float(place.key_direction[1]), 1e-3)
    offset = -toward[[0, 2]] * high[1]
    offset *= min(1.0, LONGEST_SHADOW_M / max(float(np.linalg.norm(offset)), 1e-6))
    centre = ((low + high) / 2)[[0, 2]] + offset / 2
    half = float(max(high[0] - low[0], high[2] - low[2]) + np.linalg.norm(offset)) / 2 + 0.8
    return float(centre[0]), float(centre[1]), half


@dataclass(frozen=True)
class Layer:
    """A person alone: ``colour (h,w,3)`` uint8 and ``cover (h,w)`` 0..1 at ``corner`` (x, y) of the picture,
    and ``depth (h,w)`` metres along the optical axis (infinite beside the person)."""

    corner: tuple[int, int]
    colour: np.ndarray
    cover: np.ndarray
    depth: np.ndarray


class Mesh:
    """An item on the card: fixed attributes, and positions that change from person to person."""

    def __init__(self, context: Any, program: Any, item: Item) -> None:
        self.item = item
        fixed = np.concatenate(
            [item.normals, item.uv, item.joints.astype(np.float32), item.weights, item.upper[:, None]],
            1,
            dtype=np.float32,
        )
        self.positions = context.buffer(reserve=12 * len(item.uv))
        self.indices = context.buffer(item.faces.astype("i4").tobytes(), dynamic=True)
        names = ("normal", "texture_point", "joint", "weight", "upper")
        attributes = (context.buffer(np.ascontiguousarray(fixed).tobytes()), "3f 2f 4f 4f 1f", *names)
        self.array = context.vertex_array(
            program, [(self.positions, "3f", "position"), attributes], self.indices
        )

    def draw(self, rest: np.ndarray, faces: np.ndarray | None = None) -> None:
        self.positions.write(np.ascontiguousarray(rest, "f4"))
        if faces is not None:
            self.indices.write(np.ascontiguousarray(faces, "i4"))
        self.array.render(vertices=3 * (len(self.item.faces) if faces is None else len(faces)))


class Renderer:
    """Owns an OpenGL context; not to be shared between processes or threads."""

    def __init__(self, humans: Path, wardrobe: Wardrobe, body: Body, size: int) -> None:
        self.context = open_context()
        self.humans, self.wardrobe, self.size = humans, wardrobe, size
        self.figure = Figure(body)
        gl = self.context
        self.surface = gl.program(vertex_shader=shaders.SKIN, fragment_shader=shaders.SURFACE)
        self.panorama = gl.program(vertex_shader=shaders.SCREEN, fragment_shader=shaders.PANORAMA)
        self.ground = gl.program(vertex_shader=shaders.GROUND, fragment_shader=shaders.GROUND_SHADE)
        self.caster = gl.program(vertex_shader=shaders.CASTER, fragment_shader=shaders.EMPTY)
        side = SAMPLES * size
        self.depth = gl.depth_texture((side, side))
        self.target = gl.framebuffer([gl.texture((side, side), 4)], self.depth)
        self.back = gl.framebuffer([gl.texture((size, size), 4)])
        self.shadows = [gl.depth_texture((SHADOW_SIDE, SHADOW_SIDE)) for _ in range(MAX_PEOPLE)]
        for map in self.shadows:
            map.compare_func, map.repeat_x, map.repeat_y = "", False, False
        self.shadow_targets = [gl.framebuffer(depth_attachment=t) for t in self.shadows]
        self.whole = gl.vertex_array(
            self.panorama, [(gl.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4")), "2f", "corner")]
        )
        self.square = gl.vertex_array(
            self.ground, [(gl.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], "f4")), "2f", "corner")]
        )
        coarse = self.figure.coarse
        self.cast_positions = gl.buffer(reserve=12 * len(coarse.vertex_ids))
        self.cast = gl.vertex_array(
            self.caster,
            [(self.cast_positions, "3f", "position")],
            gl.buffer(np.ascontiguousarray(coarse.faces, "i4")),
        )
        patterns, logos = draw_patterns(), draw_logos()
        self.patterns = gl.texture_array(
            (patterns.shape[2], patterns.shape[1], len(patterns)), 1, patterns.tobytes()
        )
        self.logos = gl.texture_array(
            (logos.shape[2], logos.shape[1], len(logos)), 4, np.ascontiguousarray(logos).tobytes()
        )
        for array in (self.patterns, self.logos):
            array.build_mipmaps()
        self.meshes: dict[str, Mesh] = {}
        self.textures: dict[str, tuple[Any, tuple[float, float]]] = {}
        self.panoramas: dict[str, Any] = {}

    def mesh(self, name: str) -> Mesh:
        if name not in self.meshes:
            item = self.wardrobe.skin if name == "skin" else self.wardrobe.items[name]
            self.meshes[name] = Mesh(self.context, self.surface, item)
        return self.meshes[name]

    def texture(self, name: str, item: Item | None = None) -> tuple[Any, tuple[float, float]]:
        """The texture of an item, or of a file of the pack, and the mean luminances of its two parts."""
        if name not in self.textures:
            pixels = (
                item_texture(self.humans, name, TEXTURE_SIDE)
                if item
                else read_rgba(self.humans / name, TEXTURE_SIDE)
            )
            texture = self.context.texture((TEXTURE_SIDE, TEXTURE_SIDE), 4, pixels.tobytes())
            texture.build_mipmaps()
            self.textures[name] = texture, (1.0, 1.0) if item is None else part_levels(pixels, item)
        return self.textures[name]

    def cast_shadow(self, index: int, person: Person, place: Place) -> np.ndarray:
        """Draw the person into shadow map ``index`` as the key light sees them; returns the map's matrix
        ``(4,4)`` from world."""
        points = person.vertices[self.figure.coarse.vertex_ids].astype(np.float32)
        centre = (points.min(0) + points.max(0)) / 2
        radius = float(np.linalg.norm(points - centre, axis=1).max()) * 1.05
        z = -place.key_direction / np.linalg.norm(place.key_direction)
        x = np.cross(z, [1.0, 0.2, 0.1])
        x /= np.linalg.norm(x)
        axes = np.stack([x, np.cross(z, x), z]) / (2 * radius)
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, :3], matrix[:3, 3] = axes, 0.5 - axes @ centre
        self.cast_positions.write(np.ascontiguousarray(points))
        write(self.caster, shadow_from_world=matrix.T)
        self.shadow_targets[index].use()
        self.context.enable(self.context.DEPTH_TEST)
        self.shadow_targets[index].clear(depth=1.0)
        self.cast.render()
        return matrix

    def backdrop(
        self, place: Place, camera: Camera, people: list[Person], matrices: list[np.ndarray], softness: float
    ) -> np.ndarray:
        """The place through the camera, with the people's shadows on its ground: ``(size,size,3)`` uint8."""
        if place.name not in self.panoramas:
            panorama = self.context.texture(
                place.panorama.shape[1::-1], 3, np.ascontiguousarray(place.panorama).tobytes()
            )
            panorama.repeat_y = False
            self.panoramas[place.name] = panorama
        gl, lens = self.context, self.lens(camera, 0, 0, camera.size, camera.size)
        self.back.use()
        gl.disable(gl.DEPTH_TEST)
        self.panoramas[place.name].use(0)
        write(
            self.panorama,
            panorama=0,
            world_from_camera=camera.R,
            camera_height=camera.centre[1],
            lens=lens,
            eye_height=EYE_HEIGHT_M,
        )
        self.whole.render(vertices=3)
        gl.enable(gl.BLEND)
        gl.blend_func = gl.DST_COLOR, gl.ZERO
        for i, (person, matrix) in enumerate(zip(people, matrices, strict=True)):
            self.shadows[i].use(1)
            write(
                self.ground,
                camera_from_world=camera.R.T,
                camera=camera.centre,
                lens=lens,
                area=shaded_area(person, place),
            )
            balls = np.concatenate(
                [self.joint_positions(person)[list(BALLS)], np.array([list(BALLS.values())]).T], 1
            )
            write(self.ground, shadow=1, shadow_from_world=matrix.T, softness=softness, balls=balls)
            self.set_light(self.ground, place)
            self.square.render(gl.TRIANGLE_STRIP)
        gl.disable(gl.BLEND)
        return np.frombuffer(self.back.read(components=3, alignment=1), np.uint8).reshape(
            self.size, self.size, 3
        )

    def joint_positions(self, person: Person) -> np.ndarray:
        rest = self.figure.rest_joints(person.betas)
        return np.einsum("jab,jb->ja", person.transforms[..., :3], rest) + person.transforms[..., 3]

    @staticmethod
    def lens(camera: Camera, x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        """Factors from x/z, y/z to the clip coordinates of the window of ``w x h`` pixels whose first is ``x,
        y``; the window begins at that pixel's corner."""
        fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2] + 0.5, camera.K[1, 2] + 0.5
        return 2 * fx / w, 2 * fy / h, 2 * (cx - x) / w - 1, 2 * (cy - y) / h - 1

    @staticmethod
    def set_light(program: Any, place: Place) -> None:
        write(
            program, harmonics=place.harmonics, key_direction=place.key_direction, key_colour=place.key_colour
        )

    def draw(
        self, person: Person, place: Place, camera: Camera, shadow: int, matrix: np.ndarray
    ) -> Layer | None:
        """The person alone, lit by the place, shaded by shadow map ``shadow``; None if nothing lies in the
        picture."""
        seen = camera.see(person.vertices)
        if seen[:, 2].min() < 0.1:
            return None
        corners = camera.project(seen)[:, :2] + 0.5  # counted from the picture's corner
        margin = 0.06 * camera.K[0, 0] / seen[:, 2].min() + 3
        low = np.floor(np.maximum(corners.min(0) - margin, 0)).astype(int)
        high = np.ceil(np.minimum(corners.max(0) + margin, camera.size)).astype(int)
        if np.any(high <= low):
            return None
        (x, y), (w, h) = low, high - low
        bones = np.einsum("ab,jbc->jac", camera.R, person.transforms)
        bones[:, :, 3] -= camera.R @ camera.centre
        from_camera = np.eye(4)
        from_camera[:3, :3], from_camera[:3, 3] = camera.R.T, camera.centre
        self.shadows[shadow].use(1)
        self.patterns.use(2)
        self.logos.use(3)
        write(
            self.surface,
            bones=bones,
            lens=self.lens(camera, x, y, w, h),
            world_from_camera=camera.R,
            shadow_from_camera=(matrix @ from_camera).T,
            picture=0,
            shadow=1,
            patterns=2,
            logos=3,
        )
        self.set_light(self.surface, place)
        gl = self.context
        self.target.use()
        viewport = (0, 0, SAMPLES * w, SAMPLES * h)
        self.target.viewport = viewport
        gl.enable(gl.DEPTH_TEST)
        self.target.clear(0, 0, 0, 0, depth=1.0, viewport=viewport)
        self.draw_items(person)
        return self.read_layer(x, y, w, h)

    def read_layer(self, x: int, y: int, w: int, h: int) -> Layer:
        viewport = (0, 0, SAMPLES * w, SAMPLES * h)
        raw = np.frombuffer(self.target.read(viewport, components=4), np.uint8).reshape(
            SAMPLES * h, SAMPLES * w, 4
        )
        depth = np.frombuffer(self.target.read(viewport, components=1, attachment=-1, dtype="f4"), np.float32)
        ndc = 2 * depth.reshape(SAMPLES * h, SAMPLES * w)[::SAMPLES, ::SAMPLES] - 1
        near, far = 0.05, 80.0
        metres = 2 * far * near / (far + near - ndc * (far - near))
        small = cv2.resize(raw, (int(w), int(h)), interpolation=cv2.INTER_AREA)
        return Layer(
            (int(x), int(y)),
            small[..., :3],
            small[..., 3].astype(np.float32) / 255,
            np.where(ndc < 1, metres, np.inf),
        )

    def draw_items(self, person: Person) -> None:
        """Skin, eyes, shoes, suit, hat, then what is see-through; the program is set up for the camera."""
        outfit, joints = person.outfit, self.figure.rest_joints(person.betas)
        shoulder, wrist = np.abs(joints[SHOULDERS, 0]).mean(), np.abs(joints[WRISTS, 0]).mean()
        hip, ankle = joints[HIPS, 1].mean(), joints[ANKLES, 1].mean()
        sleeve, hem = shoulder + outfit.sleeve * (wrist - shoulder), hip + outfit.leg * (ankle - hip)
        suit, shoes = f"garments/{outfit.suit}", f"garments/{outfit.shoes}"
        plain = (Look(), Look())
        rest = self.wardrobe.skin.rest(person.betas)
        bare = self.bare(suit, shoes, rest, sleeve, hem)
        self.draw_item("skin", rest, f"skins/{outfit.skin}.jpg", plain, factor=outfit.skin_tint, faces=bare)
        eyes = "eyes/low-poly"
        self.draw_item(eyes, self.wardrobe.items[eyes].rest(person.betas), f"eyes/{outfit.eyes}.png", plain)

        def draw(name, looks, **more):
            return self.draw_item(name, self.wardrobe.items[name].rest(person.betas), name, looks, **more)

        draw(shoes, (outfit.shoe, outfit.shoe), bias=SHOE_BIAS_M)
        logo = (outfit.logo, joints[CHEST, 1] + LOGO_ABOVE_M, outfit.logo_size_m, 0)
        folds = (PATTERNS, outfit.crease, outfit.crease_scale)
        draw(
            suit,
            (outfit.lower, outfit.upper),
            folds=folds,
            bias=SUIT_BIAS_M,
            cut=(sleeve, hem, 0, 0),
            logo=logo,
        )
        if outfit.hat:
            draw(f"garments/{outfit.hat}", (outfit.hat_look, outfit.hat_look))
        for name in [f"brows/{b}" for b in outfit.brows] + ([f"hair/{outfit.hair}"] if outfit.hair else []):
            draw(name, (outfit.hair_look, outfit.hair_look), see_through=True)

    def bare(self, suit: str, shoes: str, rest: np.ndarray, sleeve: float, hem: float) -> np.ndarray:
        """Faces of the skin that the clothes do not hide; where cloth is cut away the skin beneath shows."""
        hidden = np.zeros(len(rest), bool)
        hidden[self.wardrobe.items[suit].hides] = True
        # A little skin stays beneath the edge, so that no gap shows; only what hides within the suit may come
        # back.
        hidden[(np.abs(rest[:, 0]) > sleeve - EDGE_M) | (rest[:, 1] < hem + EDGE_M)] = False
        hidden[self.wardrobe.items[shoes].hides] = True
        faces = self.wardrobe.skin.faces
        return faces[~hidden[faces].all(1)]

    def draw_item(
        self,
        name: str,
        rest: np.ndarray,
        texture: str,
        looks: tuple[Look, Look],
        *,
        factor: np.ndarray | None = None,
        bias: float = 0,
        cut: tuple[float, ...] = (99, -99, 0, 0),
        logo: tuple[float, ...] = (-1, 0, 1, 0),
        see_through: bool = False,
        folds: tuple[float, ...] = (0, 0, 1),
        faces: np.ndarray | None = None,
    ) -> None:
        picture, levels = self.texture(texture, self.wardrobe.items[name] if texture == name else None)
        picture.use(0)
        write(
            self.surface,
            first=[k.first for k in looks],
            second=[k.second for k in looks],
            level=levels,
            look=[[k.amount, k.pattern, k.scale, k.turn] for k in looks],
            factor=np.ones(3) if factor is None else factor,
            bias=bias,
            cut=cut,
            folds=folds,
            logo=logo,
            see_through=float(see_through),
        )
        self.mesh(name).draw(rest, faces)
