"""The scene table: every sample photograph as data."""

from . import goods, paper, shops, streets, walls

SCENES = (*goods.SCENES, *paper.SCENES, *walls.SCENES, *shops.SCENES, *streets.SCENES)
