"""Procedural materials: noise, bricks, wood, glass, and prints laid on things.

Coordinates are the object's own, in metres, so two objects of a thing share their pattern: paint on
a wall follows the wall's bricks.
"""

from pathlib import Path

import bpy


def linear(colour: str) -> tuple[float, float, float, float]:
    """A hexadecimal sRGB colour as the renderer counts it."""
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return (*(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values), 1.0)


class Graph:
    """A material's nodes, made by calls: an input is a constant or another node's output."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.nodes = self.material.node_tree.nodes
        self.links = self.material.node_tree.links
        self.nodes.clear()

    def add(self, kind: str, inputs: dict | None = None, **settings):
        node = self.nodes.new(f"ShaderNode{kind}")
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value
        return node

    def noise(self, scale: float, detail: float = 3.0, stretch=(1, 1, 1), distortion: float = 0.0):
        """Noise of that many features a metre, from 0 to 1."""
        place = self.add("Mapping", {"Vector": self.place(), "Scale": stretch})
        inputs = {"Vector": place.outputs[0], "Scale": scale, "Detail": detail}
        inputs["Distortion"] = distortion
        return self.add("TexNoise", inputs).outputs[0]

    def place(self):
        return self.add("TexCoord").outputs["Object"]

    def span(self, value, low: float, high: float, start: float = 0.3, stop: float = 0.7):
        inputs = {0: value, 1: start, 2: stop, 3: low, 4: high}
        return self.add("MapRange", inputs, clamp=True).outputs[0]

    def mix(self, factor, a, b, blend: str = "MIX"):
        node = self.add("Mix", {0: factor, 6: a, 7: b}, data_type="RGBA", blend_type=blend)
        return node.outputs[2]

    def math(self, operation: str, a, b):
        return self.add("Math", {0: a, 1: b}, operation=operation).outputs[0]

    def bump(self, height, depth: float, normal=None):
        inputs = {"Height": height, "Distance": depth, "Strength": 1.0}
        if normal is not None:
            inputs["Normal"] = normal
        return self.add("Bump", inputs).outputs[0]

    def finish(self, shader) -> bpy.types.Material:
        self.add("OutputMaterial", {"Surface": shader})
        return self.material

    def principled(self, **inputs) -> bpy.types.Material:
        """The usual end: `Base_Color=…` sets the input "Base Color"."""
        named = {key.replace("_", " "): value for key, value in inputs.items()}
        return self.finish(self.add("BsdfPrincipled", named).outputs[0])


def _varied(g: Graph, colour: str, vary: float, grain: float):
    """A colour that is darker in spots and, more widely, lighter in others."""
    base = linear(colour)
    dark = (*(c * (1 - vary) for c in base[:3]), 1)
    light = (*(c + (1 - c) * vary * 0.4 for c in base[:3]), 1)
    fine = g.mix(g.span(g.noise(grain), 0, 1), dark, base)
    return g.mix(g.span(g.noise(grain * 0.13, 2), 0, 1, 0.45, 0.75), fine, light)


def plain(
    colour: str,
    rough: float = 0.5,
    metal: float = 0.0,
    vary: float = 0.15,
    grain: float = 9.0,
    bump: float = 0.0,
    bump_grain: float = 90.0,
    **more: float,
) -> bpy.types.Material:
    """Plaster, paper, paint, metal, cloth, asphalt: one colour that is never quite even."""
    g = Graph("plain")
    spots = g.noise(grain * 1.7, 1)
    inputs = {
        "Base_Color": _varied(g, colour, vary, grain),
        "Roughness": g.span(spots, max(0.03, rough - 0.12), min(1.0, rough + 0.12)),
        "Metallic": metal,
        **more,
    }
    if bump:
        inputs["Normal"] = g.bump(g.noise(bump_grain, 3), bump)
    return g.principled(**inputs)


def wood(colour: str, rough: float = 0.45, along: str = "x", fine: float = 1.0):
    """Boards with grain along an axis."""
    g = Graph("wood")
    stretch = tuple(0.06 if axis == along else 1.0 for axis in "xyz")
    veins = g.noise(28 * fine, 5, stretch, 1.4)
    broad = g.noise(5 * fine, 2, stretch, 0.8)
    base = linear(colour)
    dark = (*(c * 0.38 for c in base[:3]), 1)
    light = (*(min(1, c * 1.35) for c in base[:3]), 1)
    tone = g.mix(g.span(veins, 0, 1, 0.35, 0.62), dark, base)
    tone = g.mix(g.span(broad, 0, 0.8, 0.4, 0.7), tone, light)
    worn = g.span(veins, rough - 0.1, rough + 0.2)
    return g.principled(Base_Color=tone, Roughness=worn, Normal=g.bump(veins, 0.0006))


def _courses(g: Graph, plane: str, width: float, height: float, joint: float, offset: float, tones):
    """Bricks or tiles in the plane "xz", "yz" or "xy": colour, and 1 in the joints."""
    split = g.add("SeparateXYZ", {0: g.place()})
    first, second = (split.outputs["xyz".index(axis)] for axis in plane)
    wobble = g.span(g.noise(14), -0.004, 0.004)
    flat = g.add("CombineXYZ", {0: g.math("ADD", first, wobble), 1: g.math("ADD", second, wobble)})
    one, other, mortar = map(linear, tones)
    inputs = {"Vector": flat.outputs[0], "Color1": one, "Color2": other, "Mortar": mortar}
    inputs |= {"Scale": 1.0, "Mortar Size": joint, "Mortar Smooth": 0.3}
    inputs |= {"Brick Width": width, "Row Height": height}
    node = g.add("TexBrick", inputs, offset=offset)
    return node.outputs["Color"], node.outputs["Factor"]


BRICK = ("#8a4433", "#a8604a", "#b3a797")


def _brick_relief(g: Graph, plane: str, tones):
    colour, joints = _courses(g, plane, 0.23, 0.076, 0.0055, 0.5, tones)
    rough = g.noise(70, 3)
    height = g.math("SUBTRACT", g.math("MULTIPLY", rough, 0.35), joints)
    return colour, joints, g.bump(height, 0.006)


def brick(tones=BRICK, plane: str = "xz") -> bpy.types.Material:
    g = Graph("brick")
    colour, _, normal = _brick_relief(g, plane, tones)
    stains = g.mix(g.span(g.noise(24, 4), 0.0, 1.0, 0.25, 0.7), linear("#5d4a44"), (1, 1, 1, 1))
    colour = g.mix(0.75, colour, stains, "MULTIPLY")
    broad = g.mix(g.span(g.noise(0.7, 2), 0, 1), linear("#c9c0b8"), (1, 1, 1, 1))
    colour = g.mix(0.8, colour, broad, "MULTIPLY")
    return g.principled(Base_Color=colour, Roughness=0.88, Normal=normal)


def tiles(tones, width: float, height: float, joint: float = 0.004, rough: float = 0.25,
          plane: str = "xz", offset: float = 0.0, dirt: float = 0.3):  # fmt: skip
    """Wall tiles, or with another plane and roughness the slabs of a pavement."""
    g = Graph("tiles")
    colour, joints = _courses(g, plane, width, height, joint, offset, tones)
    spots = g.noise(16, 4)
    colour = g.mix(dirt, colour, g.mix(g.span(spots, 0, 1), linear("#6d665c"), (1, 1, 1, 1)),
                   "MULTIPLY")  # fmt: skip
    height_ = g.math("SUBTRACT", g.math("MULTIPLY", spots, rough * 0.3), joints)
    return g.principled(
        Base_Color=colour,
        Roughness=g.span(spots, rough * 0.7, min(1.0, rough * 1.2)),
        Normal=g.bump(height_, 0.002),
    )


def glass(tint: str = "#ffffff") -> bpy.types.Material:
    """Thick glass. Its shadow lets light through, which saves the thousands of paths that would."""
    g = Graph("glass")
    inside = g.add("BsdfGlass", {"Color": linear(tint), "Roughness": 0.0, "IOR": 1.45}).outputs[0]
    clear = g.add("BsdfTransparent", {"Color": linear(tint)}).outputs[0]
    shadow = g.add("LightPath").outputs["Is Shadow Ray"]
    return g.finish(g.add("MixShader", {0: shadow, 1: inside, 2: clear}).outputs[0])


def pane(dark: float = 0.0) -> bpy.types.Material:
    """A window pane: a mirror at a flat angle, nearly nothing from the front."""
    g = Graph("pane")
    tint = linear("#e9f2ee")
    clear = g.add("BsdfTransparent", {"Color": (*(c * (1 - dark) for c in tint[:3]), 1)}).outputs[0]
    wave = g.bump(g.noise(2.2, 2), 0.004)
    mirror = g.add("BsdfGlossy", {"Roughness": 0.01, "Normal": wave}).outputs[0]
    share = g.math("ADD", g.add("Fresnel", {"IOR": 1.6}).outputs[0], 0.05)
    return g.finish(g.add("MixShader", {0: share, 1: clear, 2: mirror}).outputs[0])


def glow(colour: str, strength: float) -> bpy.types.Material:
    g = Graph("glow")
    return g.finish(g.add("Emission", {0: linear(colour), 1: strength}).outputs[0])


def printed(image: Path, finish: str, wear: float, look: dict) -> bpy.types.Material:
    """A print: the drawn image where it is opaque, and nothing where it is not.

    `look` may name the relief that the ink lies on ("brick") and the `strength` of a display.
    """
    g = Graph("print")
    picture = g.add("TexImage", extension="EXTEND")
    picture.image = bpy.data.images.load(str(image))
    colour, alpha = picture.outputs[0], picture.outputs[1]
    if finish == "glow":
        inputs = {0: colour, 1: look.get("strength", 3.0)}
        light = g.add("Emission", inputs).outputs[0]
        empty = g.add("BsdfTransparent").outputs[0]
        return g.finish(g.add("MixShader", {0: alpha, 1: empty, 2: light}).outputs[0])
    rough = look.get("rough", {"chalk": 0.95, "paint": 0.75}.get(finish, 0.45))
    inputs = {"Base_Color": g.mix(1.0, colour, _varied(g, "#ffffff", 0.08, 12), "MULTIPLY")}
    if finish == "chalk":
        dust = g.math("MULTIPLY", g.span(g.noise(420, 2), 0.25, 1, 0.42, 0.56),
                      g.span(g.noise(30, 2), 0.6, 1))  # fmt: skip
        alpha = g.math("MULTIPLY", alpha, dust)
    elif wear:
        gone = 0.78 - 0.35 * wear
        kept = g.span(g.noise(look.get("wear_grain", 30), 5), 1, 0, gone - 0.05, gone + 0.02)
        alpha = g.math("MULTIPLY", alpha, kept)
    if look.get("relief") == "brick":
        _, joints, inputs["Normal"] = _brick_relief(g, "xz", BRICK)
        alpha = g.math("MULTIPLY", alpha, g.span(joints, 1, 0.35, 0.4, 1))
    elif finish != "chalk":
        inputs["Normal"] = g.bump(g.noise(look.get("bump_grain", 140), 2), look.get("bump", 0.0002))
    return g.principled(**inputs, Roughness=rough, Alpha=alpha)
