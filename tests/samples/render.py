"""A scene becomes a photograph: built, traced, developed, its words outlined in pixels."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from PIL import Image

from .light import set_camera, set_light
from .plan import Scene
from .stage import Stage, Word
from .things import build

SAMPLES = 16
#: An image larger than this is saved again at a lower quality.
BYTES = 110_000


class Rendered(NamedTuple):
    image: Image.Image
    outlines: list[dict]  # word, thing, points: four corners in px, clockwise from the top left
    seconds: float


def _settings(scene: Scene, samples: int, percent: int, threads: int) -> None:
    settings = bpy.context.scene
    settings.render.engine = "CYCLES"
    settings.render.resolution_x, settings.render.resolution_y = scene.size
    settings.render.resolution_percentage = percent
    settings.render.threads_mode, settings.render.threads = "FIXED", threads
    settings.render.image_settings.file_format = "PNG"
    cycles = settings.cycles
    cycles.device, cycles.samples = "CPU", samples
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.05
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.max_bounces, cycles.transmission_bounces, cycles.transparent_max_bounces = 6, 6, 8
    cycles.diffuse_bounces, cycles.glossy_bounces = 2, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    settings.view_settings.view_transform = "AgX"
    settings.view_settings.look = "AgX - Medium High Contrast"
    settings.view_settings.exposure = scene.exposure


def _outline(word: Word, camera, size: tuple[int, int]) -> list[list[float]]:
    """Four corners around a word's ink.

    The edges of a word on a bottle are arcs: each is moved outwards until it holds its arc.
    """

    def pixels(points) -> np.ndarray:
        seen = [world_to_camera_view(bpy.context.scene, camera, point) for point in points]
        return np.array([(p.x * size[0], (1 - p.y) * size[1]) for p in seen])

    upper, lower = pixels(word.upper), pixels(word.lower)
    down = lower.mean(0) - upper.mean(0)
    corners = []
    for edge, outwards in ((upper, -1), (lower, 1)):
        along = edge[-1] - edge[0]
        normal = np.array([-along[1], along[0]]) / np.hypot(*along)
        normal *= outwards * np.sign(normal @ down)
        corners.append(edge[[0, -1]] + normal * max(0.0, ((edge - edge[0]) @ normal).max()))
    (top_left, top_right), (bottom_left, bottom_right) = corners
    quad = (top_left, top_right, bottom_right, bottom_left)
    return [[round(float(v), 1) for v in corner] for corner in quad]


def develop(image: Image.Image, seed: int) -> Image.Image:
    """What a lens and a sensor add: darker corners and a little grain."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    pixels *= (1 - 0.11 * (x**2 + y**2))[..., None]
    grain = np.random.default_rng(seed).normal(0, 1.6, (height, width, 1))
    # Grain shows in the middle tones, and hardly where the sensor is full.
    pixels += grain * (1.2 - pixels.mean(2, keepdims=True) / 255)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def set_up(scene: Scene, stage: Stage) -> bpy.types.Object:
    """Put things, light and camera into the empty scene; returns the camera."""
    for thing in scene.things:
        build(stage, thing)
    set_light(scene.light)
    camera = set_camera(scene.camera)
    bpy.context.view_layer.update()
    return camera


def outlines(stage: Stage, camera: bpy.types.Object, size: tuple[int, int]) -> list[dict]:
    """Every word of the stage with its corners in pixels of an image of that size."""
    return [
        {"word": word.word, "thing": word.thing, "points": _outline(word, camera, size)}
        for word in stage.words
    ]


def render(scene: Scene, samples: int = SAMPLES, percent: int = 100, threads: int = 1) -> Rendered:
    """Build and trace a scene; `percent` makes it smaller, for a look while it is being made."""
    start = time.perf_counter()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _settings(scene, samples, percent, threads)
    stage = Stage(scene.name)
    camera = set_up(scene, stage)
    path = stage.next_file()
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    with Image.open(path) as traced:
        image = develop(traced, len(scene.name))
    shutil.rmtree(stage.folder)
    return Rendered(image, outlines(stage, camera, image.size), time.perf_counter() - start)


def save(image: Image.Image, path: Path) -> None:
    """As JPEG of quality 88, or of less where noise makes the file too large."""
    for quality in (88, 85, 82, 79, 76, 73, 70):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= BYTES:
            return
