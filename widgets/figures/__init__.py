"""From a trace to a picture: what the model looked at, head by head, word by word.

Each function takes a `Trace` (or plain values of `mstar`) and returns a `Picture`; none displays
anything. Attention is drawn in multiples of even attention: 1 = as if the model looked everywhere
alike. All maps of one picture share one colour range.
"""

from ..notes import facts, heading, note, table
from .assignment import assignment
from .attributions import attributions
from .charts import against, precision_recall
from .compare import compare
from .differences import comparisons, differences
from .explore import explore
from .heads import heads
from .inside import matching, query_attention, readouts, text_attention
from .lab import ACTIONS, TOOLS, lab
from .looks import looks
from .multi_word import multi_word
from .queries import Ranking, queries
from .ranks import ranks
from .scores import scores
from .search import CHOICES, search
from .training import training
from .words import words

__all__ = [
    "ACTIONS",
    "CHOICES",
    "TOOLS",
    "Ranking",
    "against",
    "assignment",
    "attributions",
    "compare",
    "comparisons",
    "differences",
    "explore",
    "facts",
    "heading",
    "heads",
    "lab",
    "looks",
    "matching",
    "multi_word",
    "note",
    "precision_recall",
    "queries",
    "query_attention",
    "ranks",
    "readouts",
    "scores",
    "search",
    "table",
    "text_attention",
    "training",
    "words",
]
