"""Galleries: images embedded once, ranked by text, looked at again, kept on disk.

`gallery` is what one works with; `index` makes one of a folder. It knows one query at a time, and
nothing of benchmarks: how good a ranking is, is the matter of `evaluate`.
"""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    folders="image_files",
    gallery="Explanation Gallery",
    index="Indexed index_folder",
    presence="Found Presence absent locate",
    ranking="Hit Rank rank",
    reranking="rerank rerank_count",
)
