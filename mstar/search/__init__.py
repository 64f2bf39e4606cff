"""A gallery that is embedded once and searched often: `gallery`, kept on disk by `index`."""

from mstar.lazily import offered

__getattr__, __dir__, __all__ = offered(
    __name__,
    gallery="Explanation Gallery",
    index="Indexed index_folder",
    ranking="Hit Rank rank",
    reranking="rerank rerank_count",
)
