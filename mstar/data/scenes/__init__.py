"""The sandbox: scenes of text rendered from a seed, with their truth; `sandbox` is its face.

It draws with NumPy, Pillow and OpenCV, and imports neither torch nor transformers. It knows nothing
of lists, benchmarks or models.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(__name__, sandbox="", lexicon="")
