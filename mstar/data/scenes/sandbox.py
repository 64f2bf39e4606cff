"""The sandbox: scene text rendered from a seed, to train and to judge a small MSTAR.

The parts, in reading order: `lexicon` (words), `difficulty` (EASY, HARD, CROWD, STREET), `labels`
(the four query styles), `draw` and `street` (pixels), `scene` (images), `pairs` (that differ in a
word), `galleries` (evaluation sets), `samples` (contact sheets). This module is their common face;
importing it imports no torch.
"""

from mstar.data.scenes.difficulty import CROWD, DIFFICULTIES, EASY, HARD, SMALL, STREET, Difficulty
from mstar.data.scenes.galleries import Gallery, Query, gallery, judging_gallery
from mstar.data.scenes.labels import STYLES, Region, label
from mstar.data.scenes.lexicon import words
from mstar.data.scenes.pairs import Pair, pair
from mstar.data.scenes.scene import Scene, Strip, locate, matches, scene, strip
from mstar.data.scenes.sheets import contact_sheet

__all__ = [
    "CROWD",
    "DIFFICULTIES",
    "EASY",
    "HARD",
    "SMALL",
    "STREET",
    "STYLES",
    "Difficulty",
    "Gallery",
    "Pair",
    "Query",
    "Region",
    "Scene",
    "Strip",
    "contact_sheet",
    "gallery",
    "judging_gallery",
    "label",
    "locate",
    "matches",
    "pair",
    "scene",
    "strip",
    "words",
]
