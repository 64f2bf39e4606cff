"""Geometry and prints: what a thing is built with, and where its words are in the world."""

import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
from mathutils import Matrix, Vector

from . import materials
from .artwork import Placed, draw, font_path
from .labels import called
from .plan import Print, Thing

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Face:
    """A surface that takes a print: where (u, v) is, lifted a little off the thing."""

    at: Callable[[float, float, float], Vector]  # u rightwards, v upwards, both 0 to 1; metres
    width: float
    height: float
    steps: tuple[int, int] = (1, 1)  # how finely it has to be cut: a plane not at all
    lift: float = 0.0004


def flat(left: float, bottom: float, width: float, height: float, y: float = 0.0,
         lift: float = 0.0004) -> Face:  # fmt: skip
    """An upright plane that faces the negative y axis."""
    return Face(lambda u, v, up: Vector((left + u * width, y - up, bottom + v * height)),
                width, height, lift=lift)  # fmt: skip


def round_face(radius: float, bottom: float, height: float, angle: float) -> Face:
    """A strip around an upright cylinder, `angle` degrees wide, its middle at negative y."""
    whole = math.radians(angle)

    def at(u: float, v: float, up: float) -> Vector:
        turn = (u - 0.5) * whole
        reach = radius + up
        return Vector((reach * math.sin(turn), -reach * math.cos(turn), bottom + v * height))

    return Face(at, radius * whole, height, (48, 1))


@dataclass(frozen=True)
class Word:
    """A word in the world: points along the upper and the lower edge of its ink, left to right."""

    word: str
    thing: str
    upper: tuple[Vector, ...]
    lower: tuple[Vector, ...]


class Stage:
    """The scene being built."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.words: list[Word] = []
        self.folder = Path(tempfile.mkdtemp(prefix="samples-"))
        self._number = 0

    def next_file(self) -> Path:
        self._number += 1
        return self.folder / f"{self._number}.png"


class Frame:
    """A thing's own coordinates, and the shapes that are put into them."""

    def __init__(self, stage: Stage, at: Point, turn: float = 0.0, tilt: float = 0.0) -> None:
        self.stage = stage
        self.random = stage.random
        self.matrix = (
            Matrix.Translation(at)
            @ Matrix.Rotation(math.radians(turn), 4, "Z")
            @ Matrix.Rotation(math.radians(tilt), 4, "X")
        )

    def mesh(self, points, faces, material, smooth=False, uvs=None):
        data = bpy.data.meshes.new("mesh")
        data.from_pydata([tuple(p) for p in points], [], faces)
        if uvs:
            layer = data.uv_layers.new().data
            for polygon in data.polygons:
                for loop in polygon.loop_indices:
                    layer[loop].uv = uvs[data.loops[loop].vertex_index]
        data.polygons.foreach_set("use_smooth", [smooth] * len(data.polygons))
        return self.put(bpy.data.objects.new("thing", data), material)

    def put(self, thing, material):
        thing.data.materials.clear()
        thing.data.materials.append(material)
        thing.matrix_world = self.matrix
        bpy.context.scene.collection.objects.link(thing)
        return thing

    def box(self, low: Point, high: Point, material, bevel: float = 0.003):
        """A block between two corners. Without its bevel no edge would catch the light."""
        points = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1])
                  for z in (low[2], high[2])]  # fmt: skip
        faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        block = self.mesh(points, faces, material)
        if bevel:
            edge = block.modifiers.new("bevel", "BEVEL")
            edge.width, edge.segments = bevel, 3 if bevel < 0.05 else 6
            edge.harden_normals = True
        return block

    def lathe(self, profile: list[tuple[float, float]], material, at: Point = (0, 0, 0),
              steps: int = 64, crease: bool = False):  # fmt: skip
        """A profile of (radius, height) turned about the vertical."""
        points, faces = [], []
        for radius, height in profile:
            for step in range(steps):
                angle = 2 * math.pi * step / steps
                points.append((at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle),
                               at[2] + height))  # fmt: skip
        for row in range(len(profile) - 1):
            for step in range(steps):
                a, b = row * steps + step, row * steps + (step + 1) % steps
                faces.append((a, b, b + steps, a + steps))
        turned = self.mesh(points, faces, material, smooth=True)
        if crease:
            split = turned.modifiers.new("split", "EDGE_SPLIT")
            split.split_angle = math.radians(40)
        return turned

    def disc(self, radius: float, height: float, material, at: Point = (0, 0, 0), thick=0.0):
        """A cylinder with its caps."""
        profile = [(0, 0), (radius, 0), (radius, thick), (0, thick)] if thick else [
            (radius, 0), (0, 0)]  # fmt: skip
        return self.lathe(profile, material, (at[0], at[1], at[2] + height), crease=True)

    def tube(self, points: list[Point], radius: float, material):
        """A round rod through points."""
        curve = bpy.data.curves.new("tube", "CURVE")
        curve.dimensions, curve.bevel_depth, curve.use_fill_caps = "3D", radius, True
        curve.bevel_resolution = 14 if radius > 0.04 else 4  # a wheel, or a wire
        spline = curve.splines.new("POLY")
        spline.points.add(len(points) - 1)
        for knot, point in zip(spline.points, points, strict=True):
            knot.co = (*point, 1)
        return self.put(bpy.data.objects.new("tube", curve), material)

    def ball(self, at: Point, radius: float, material, squash: float = 1.0):
        rows = 16
        angles = [math.pi * k / rows for k in range(rows + 1)]
        profile = [(radius * math.sin(a), -radius * squash * math.cos(a)) for a in angles]
        return self.lathe(profile, material, at, 24)

    def sheet(self, face: Face, material, lift: float = 0.0):
        """A curved or plane surface with (u, v) as its texture coordinates."""
        columns, rows = face.steps
        uvs = [(i / columns, j / rows) for j in range(rows + 1) for i in range(columns + 1)]
        points = [face.at(u, v, lift) for u, v in uvs]
        wide = columns + 1
        faces = [(j * wide + i, j * wide + i + 1, (j + 1) * wide + i + 1, (j + 1) * wide + i)
                 for j in range(rows) for i in range(columns)]  # fmt: skip
        return self.mesh(points, faces, material, smooth=max(face.steps) > 1, uvs=uvs)

    def leaves(self, centre: Point, size: Point, count: int, leaf: float, materials_):
        """A cloud of leaves: small quadrangles turned at random, denser towards the outside."""
        points, faces = [], []
        chance = self.random
        for _ in range(count):
            way = Vector([chance.gauss(0, 1) for _ in range(3)]).normalized()
            middle = Vector(centre) + Vector(
                [w * s * chance.uniform(0.45, 1) for w,
                 s in zip(way, size, strict=True)])  # fmt: skip
            one = Vector([chance.gauss(0, 1) for _ in range(3)]).normalized()
            two = one.orthogonal().normalized()
            long = leaf * chance.uniform(0.6, 1.2)
            first = len(points)
            points += [middle - one * long, middle + two * long * 0.45, middle + one * long,
                       middle - two * long * 0.45]  # fmt: skip
            faces.append((first, first + 1, first + 2, first + 3))
        half = len(faces) // 2
        self.mesh(points[: half * 4], faces[:half], materials_[0])
        rest = [tuple(i - half * 4 for i in f) for f in faces[half:]]
        self.mesh(points[half * 4 :], rest, materials_[1])

    def prints(self, thing: Thing, faces: dict[str, Face]) -> None:
        """Lay the thing's prints on its faces and note where their words are."""
        for spec in thing.prints:
            face = faces[spec.slot]
            image, placed = draw(spec, face.width, face.height)
            if spec.finish in ("raised", "neon"):
                for word in placed:
                    self._solid(spec, face, word, thing.look)
            else:
                path = self.stage.next_file()
                image.save(path)
                material = materials.printed(path, spec.finish, spec.wear, thing.look)
                self.sheet(face, material, face.lift)
            for word in placed:
                left, bottom, right, top = word.box
                along = [left + (right - left) * step / 8 for step in range(9)]
                upper, lower = (
                    tuple(self.matrix @ face.at(u, v, face.lift) for u in along)
                    for v in (top, bottom)
                )
                self.stage.words.append(Word(word.word, called(thing), upper, lower))

    def _solid(self, spec: Print, face: Face, word: Placed, look: dict) -> None:
        """A word of solid letters, or of glass tubes, that fills its box on a plane face."""
        line = spec.lines[word.line]
        curve = bpy.data.curves.new("letters", "FONT")
        curve.body = word.drawn
        curve.font = bpy.data.fonts.load(str(font_path(line.font)), check_existing=True)
        neon = spec.finish == "neon"
        capital = line.h * face.height
        if neon:
            material = materials.glow(line.colour, look.get("neon", 3))
        else:
            material = materials.plain(line.colour, look.get("letter_rough", 0.35), vary=0.06)
        letters = bpy.data.objects.new("letters", curve)
        bpy.context.scene.collection.objects.link(letters)
        bpy.context.view_layer.update()
        # The bounding box of a text object is that of its letters, not of their advance.
        corners = [Vector(corner) for corner in letters.bound_box]
        low = [min(c[i] for c in corners) for i in (0, 1)]
        size = [max(c[i] for c in corners) - low[i] for i in (0, 1)]
        left, bottom, right, top = word.box
        wide = (right - left) * face.width / size[0]
        high = (top - bottom) * face.height / size[1]
        depth = look.get("depth", 0.05)
        # Scaled to the box; depth and tubes are set in the letters' own units.
        if neon:
            # Only now: bare outlines have a bounding box that is larger by 1 on every side.
            curve.fill_mode = "NONE"
            curve.bevel_depth, curve.bevel_resolution = capital * 0.04 / high, 3
        else:
            curve.extrude = depth / 2 / high
            curve.bevel_depth = 0.06 * curve.extrude
        origin = face.at(left, bottom, depth / 2 + 0.002)
        bpy.context.scene.collection.objects.unlink(letters)
        self.put(letters, material)
        letters.matrix_world = (
            self.matrix
            @ Matrix.Translation(origin)
            @ Matrix.Rotation(math.radians(90), 4, "X")
            @ Matrix.Diagonal((wide, high, high, 1))
            @ Matrix.Translation((-low[0], -low[1], 0))
        )
