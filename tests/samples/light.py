"""The light of a scene and its camera."""

import math

import bpy
from mathutils import Matrix, Vector

from .materials import linear
from .plan import Camera, Light


def _world(colour, strength: float):
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    nodes, links = world.node_tree.nodes, world.node_tree.links
    ground = nodes["Background"]
    if isinstance(colour, str):
        ground.inputs[0].default_value = linear(colour)
    ground.inputs[1].default_value = strength
    return nodes, links, ground


def _sky(light: Light) -> None:
    nodes, links, ground = _world(None, 0.085 * light.strength)
    sky = nodes.new("ShaderNodeTexSky")
    sky.sky_type = "MULTIPLE_SCATTERING"
    sky.sun_elevation = math.radians(light.elevation)
    sky.sun_rotation = math.radians(light.turn)
    # A larger sun than the real one: shadows keep a soft edge, and there is less noise.
    sky.sun_size = math.radians(1.5)
    sky.sun_disc = light.kind == "sun"
    if light.kind == "cloud":
        sky.aerosol_density = 6.0
        grey = nodes.new("ShaderNodeMix")
        grey.data_type = "RGBA"
        grey.inputs[0].default_value = 0.7
        grey.inputs[7].default_value = (17.0, 17.8, 19.0, 1)
        links.new(sky.outputs[0], grey.inputs[6])
        links.new(grey.outputs[2], ground.inputs[0])
    else:
        links.new(sky.outputs[0], ground.inputs[0])


def area(at, to, size: tuple[float, float], power: float, colour: str, shown: bool = False):
    """A rectangle of light. Unless shown it is seen in mirrors and glass only."""
    data = bpy.data.lights.new("area", "AREA")
    data.shape, data.size, data.size_y, data.energy = "RECTANGLE", *size, power
    data.color = linear(colour)[:3]
    lamp = bpy.data.objects.new("area", data)
    way = Vector(to) - Vector(at)
    lamp.matrix_world = Matrix.Translation(at) @ way.to_track_quat("-Z", "Y").to_matrix().to_4x4()
    lamp.visible_camera = shown
    bpy.context.scene.collection.objects.link(lamp)
    return lamp


def _room(light: Light) -> None:
    _world("#8d8a86", 0.3 * light.strength)
    turn, up = math.radians(light.turn), math.radians(light.elevation)
    way = Vector((math.sin(turn) * math.cos(up), -math.cos(turn) * math.cos(up), math.sin(up)))
    colour = {-1: "#cfe0ff", 0: "#fff6ea", 1: "#ffd9a8"}[round(light.warmth)]
    across = Vector((way.y, -way.x, 0)).normalized()
    for shift in (-0.48, 0.48):  # a window of two panes
        area(way * 2.4 + across * shift, (0, 0, 0.1), (0.8, 1.5), 78 * light.strength, colour)
    area((-way.x * 2, -1.5, 2.2), (0, 0, 0), (1.5, 1.5), 26 * light.strength, "#ffe9d0")


def set_light(light: Light) -> None:
    if light.kind in ("sun", "cloud"):
        _sky(light)
    elif light.kind == "room":
        _room(light)
    elif light.kind == "night":
        _world("#2c3d63", 1.3 * light.strength)
    else:
        raise ValueError(f"Unknown light {light.kind!r}.")


def set_camera(camera: Camera) -> bpy.types.Object:
    data = bpy.data.cameras.new("camera")
    data.sensor_width, data.sensor_fit, data.lens = 36.0, "AUTO", camera.lens
    way = Vector(camera.to) - Vector(camera.at)
    if camera.stop:
        data.dof.use_dof = True
        data.dof.aperture_fstop = camera.stop
        focus = Vector(camera.focus) if camera.focus else Vector(camera.to)
        # What is sharp is a plane across the view, so the distance is that along the view.
        data.dof.focus_distance = (focus - Vector(camera.at)).dot(way.normalized())
    placed = bpy.data.objects.new("camera", data)
    placed.matrix_world = (
        Matrix.Translation(camera.at)
        @ way.to_track_quat("-Z", "Y").to_matrix().to_4x4()
        @ Matrix.Rotation(math.radians(camera.roll), 4, "Z")
    )
    bpy.context.scene.collection.objects.link(placed)
    bpy.context.scene.camera = placed
    return placed
