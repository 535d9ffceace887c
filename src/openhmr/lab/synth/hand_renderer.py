"""Pictures of hands by OpenGL without a window: pieces in camera axes, lit by a place, with their own
shadows. Needs the ``synth`` extra."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.lab.synth import shaders
from openhmr.lab.synth.hand_meshes import Piece, Texture
from openhmr.lab.synth.light import Place
from openhmr.lab.synth.renderer import EYE_HEIGHT_M, Renderer, open_context, write
from openhmr.lab.synth.scene import Camera
from openhmr.lab.synth.textures import read_rgba

SAMPLES = 2
SHADOW_SIDE = 384
SHADOW_RADIUS_M = 0.3
TEXTURE_SIDE = 1024
NEAR_M, FAR_M = 0.05, 80.0


class HandRenderer:
    """Owns an OpenGL context; not to be shared between processes or threads."""

    def __init__(self, humans: Path, size: int) -> None:
        gl = self.context = open_context()
        self.humans, self.size = humans, size
        self.program = gl.program(vertex_shader=shaders.PIECE, fragment_shader=shaders.PIECE_SHADE)
        self.caster = gl.program(vertex_shader=shaders.CASTER, fragment_shader=shaders.EMPTY)
        self.panorama = gl.program(vertex_shader=shaders.SCREEN, fragment_shader=shaders.PANORAMA)
        side = SAMPLES * size
        self.target = gl.framebuffer([gl.texture((side, side), 4)], gl.depth_texture((side, side)))
        self.back = gl.framebuffer([gl.texture((size, size), 4)])
        self.shadow = gl.depth_texture((SHADOW_SIDE, SHADOW_SIDE))
        self.shadow.compare_func, self.shadow.repeat_x, self.shadow.repeat_y = "", False, False
        self.shadow_target = gl.framebuffer(depth_attachment=self.shadow)
        corners = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4"))
        self.whole = gl.vertex_array(self.panorama, [(corners, "2f", "corner")])
        self.skins: dict[str, Any] = {}
        self.panoramas: dict[str, Any] = {}

    def backdrop(self, place: Place, camera: Camera) -> NDArray[np.uint8]:
        """The place through the camera: ``(size,size,3)``."""
        if place.name not in self.panoramas:
            height, width = place.panorama.shape[:2]
            data = np.ascontiguousarray(place.panorama).tobytes()
            self.panoramas[place.name] = self.context.texture((width, height), 3, data)
            self.panoramas[place.name].repeat_y = False
        self.back.use()
        self.context.disable(self.context.DEPTH_TEST)
        self.panoramas[place.name].use(0)
        write(
            self.panorama,
            panorama=0,
            world_from_camera=camera.R,
            camera_height=camera.centre[1],
            lens=Renderer.lens(camera, 0, 0, camera.size, camera.size),
            eye_height=EYE_HEIGHT_M,
        )
        self.whole.render(vertices=3)
        raw = self.back.read(components=3, alignment=1)
        return np.frombuffer(raw, np.uint8).reshape(self.size, self.size, 3)

    def draw(
        self, pieces: list[Piece], centre: NDArray, place: Place, camera: Camera
    ) -> tuple[NDArray[np.uint8], NDArray[np.floating], NDArray[np.float32]]:
        """``pieces`` (camera axes), shaded by each other within reach of ``centre (3,)``: colour
        ``(size,size,3)``, cover ``(size,size)`` 0..1 and depth (metres; infinite beside them)."""
        gl = self.context
        arrays = [self._upload(piece) for piece in pieces]
        matrix = self._cast(arrays, centre, camera.R @ place.key_direction)
        self.target.use()
        gl.enable(gl.DEPTH_TEST)
        self.target.clear(0, 0, 0, 0, depth=1.0)
        self.shadow.use(1)
        write(
            self.program,
            lens=Renderer.lens(camera, 0, 0, camera.size, camera.size),
            world_from_camera=camera.R,
            shadow_from_camera=matrix.T,
            picture=0,
            shadow=1,
        )
        Renderer.set_light(self.program, place)
        for piece, (array, _, _) in zip(pieces, arrays, strict=True):
            texture, own = self._texture(piece.texture)
            texture.use(0)
            array.render()
            if own:
                texture.release()
        for array, shadow_array, buffers in arrays:
            for thing in (array, shadow_array, *buffers):
                thing.release()
        return self._read()

    def _upload(self, piece: Piece) -> tuple[Any, Any, list[Any]]:
        columns = [piece.vertices, piece.normals, piece.uv, piece.colour]
        data = np.concatenate(columns, 1, dtype=np.float32)
        vertices = self.context.buffer(np.ascontiguousarray(data).tobytes())
        indices = self.context.buffer(np.ascontiguousarray(piece.faces, "i4").tobytes())
        names = ("position", "normal", "texture_point", "tint")
        array = self.context.vertex_array(self.program, [(vertices, "3f 3f 2f 3f", *names)], indices)
        cast = self.context.vertex_array(self.caster, [(vertices, "3f 32x", "position")], indices)
        return array, cast, [vertices, indices]

    def _cast(self, arrays: list[tuple[Any, Any, list[Any]]], centre: NDArray, key: NDArray) -> NDArray:
        """Draw the shadow map; returns its matrix ``(4,4)`` from camera axes, whose light comes from ``key
        (3,)``."""
        z = -key / np.linalg.norm(key)
        x = np.cross(z, [1.0, 0.2, 0.1])
        x /= np.linalg.norm(x)
        axes = np.stack([x, np.cross(z, x), z]) / (2 * SHADOW_RADIUS_M)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = axes, 0.5 - axes @ centre
        write(self.caster, shadow_from_world=matrix.T)
        self.shadow_target.use()
        self.context.enable(self.context.DEPTH_TEST)
        self.shadow_target.clear(depth=1.0)
        for _, cast, _ in arrays:
            cast.render()
        return matrix

    def _texture(self, texture: Texture) -> tuple[Any, bool]:
        """On the card, and whether it is for one use."""
        if isinstance(texture, str):
            if texture not in self.skins:
                pixels = read_rgba(self.humans / "skins" / f"{texture}.jpg", TEXTURE_SIDE)
                self.skins[texture] = self.context.texture((TEXTURE_SIDE, TEXTURE_SIDE), 4, pixels.tobytes())
                self.skins[texture].build_mipmaps()
            return self.skins[texture], False
        made = self.context.texture(
            texture.shape[1::-1], 3, np.ascontiguousarray(texture).tobytes(), alignment=1
        )
        made.filter = (self.context.LINEAR, self.context.LINEAR)
        return made, True

    def _read(self) -> tuple[NDArray[np.uint8], NDArray[np.floating], NDArray[np.float32]]:
        side = SAMPLES * self.size
        raw = np.frombuffer(self.target.read(components=4), np.uint8).reshape(side, side, 4)
        depth = np.frombuffer(self.target.read(components=1, attachment=-1, dtype="f4"), np.float32)
        ndc = 2 * depth.reshape(side, side)[::SAMPLES, ::SAMPLES] - 1
        metres = 2 * FAR_M * NEAR_M / (FAR_M + NEAR_M - ndc * (FAR_M - NEAR_M))
        small = cv2.resize(raw, (self.size, self.size), interpolation=cv2.INTER_AREA)
        cover = small[..., 3:].astype(np.float32) / 255
        # Colour of what is covered alone: black beside it is no part of it.
        colour = np.clip(small[..., :3] / np.maximum(cover, 1 / 255), 0, 255).astype(np.uint8)
        return colour, cover[..., 0], np.where(ndc < 1, metres, np.inf).astype(np.float32)
