"""A vector database that runs on more than one machine: what a gallery looks up, in Qdrant.

Every vector is a point, by its number (see `approximate.Nearest`), in every space at once. With an
image as a point, of multivectors, the graph that Qdrant searches compares S × S vectors an edge:
8,000 images of 16 vectors were not done in six minutes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mstar.errors import UserError
from mstar.files import locked
from mstar.search.gallery import Gallery
from mstar.search.nearest.lists import state_of
from mstar.search.nearest.needs import check_database
from mstar.search.nearest.spaces import spaces_of, vectors_in
from mstar.search.store import GALLERY, read_about

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

#: Vectors that are sent at once: a request of at most some 10 MB of JSON.
_AT_ONCE = 4096
#: Points of the graph that are kept in view. A text lies far from all images, and with Qdrant's own
#: 100 a search missed one of nine of the best images of words.
_LOOKED_AT = 1024
#: What says, in the collection's metadata, of which gallery it is; and while it is being filled.
_OF, _UNFINISHED = "mstar_gallery", "unfinished"


def connect(url: str) -> "QdrantClient":
    """A client of a server; its key, if it wants one, is in the environment's QDRANT_API_KEY."""
    check_database(url)
    from qdrant_client import QdrantClient

    key = os.environ.get("QDRANT_API_KEY")
    with answering(f"the vector database {url}"):
        return QdrantClient(url=url, api_key=key, timeout=60, check_compatibility=False)


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Raises UserError in the place of what a client raises."""
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except (ApiException, ValueError) as error:
        if isinstance(error, UserError):
            raise
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{what} cannot be used: {why or type(error).__name__}") from None


def export(
    folder: str | Path, client: "QdrantClient", name: str, checkpoint: str | Path | None = None
) -> int:
    """Send what a gallery looks up to a collection, anew if it holds a gallery.

    Returns:
        How many images.

    Raises:
        FileNotFoundError: there is no gallery.
        UserError: the collection holds something else, or the database does not answer.
    """
    from qdrant_client import models

    about = read_about(folder)
    with locked(Path(folder), GALLERY), answering(f"the collection {name}"):
        gallery = Gallery.open(folder, checkpoint)
        vectors, dim = gallery.vectors.shape
        spaces, model = spaces_of(gallery.bench.config), gallery.bench.model
        if client.collection_exists(name):
            if _OF not in (client.get_collection(name).config.metadata or {}):
                raise UserError(f"the collection {name} holds no gallery: give another name.")
            client.delete_collection(name)
        kind = models.VectorParams(
            size=dim,
            distance=models.Distance.DOT,  # of unit length
            datatype=models.Datatype.FLOAT16,
            on_disk=True,
        )
        made_of = {space: kind for space in spaces}
        client.create_collection(name, vectors_config=made_of, metadata={_OF: _UNFINISHED})
        bar = tqdm(total=len(gallery), desc="export", unit="image", leave=False)
        with bar, gallery.bench.evaluating():
            for rows in gallery.vectors.parts(_AT_ONCE):
                found = {s: vectors_in(s, model, rows.vision).flatten(0, 1) for s in spaces}
                numbers = rows.images[:, None] * vectors + torch.arange(vectors)
                points = models.Batch(
                    ids=numbers.flatten().tolist(),
                    vectors={space: one.tolist() for space, one in found.items()},
                )
                client.upsert(name, points, wait=True)
                bar.update(len(rows.images))
        state = state_of(about, gallery.images.entries)
        client.update_collection(name, metadata={_OF: state})
    return len(gallery)


class Database:
    """A collection that `export` filled.

    Args:
        client, name: the server's, and the collection's.
        state: `state_of` the gallery as it is now.

    Raises:
        UserError: there is no such collection, or it is of another state of the gallery.
    """

    def __init__(self, client: "QdrantClient", name: str, state: str):
        self.client, self.name = client, name
        with answering(f"the collection {name}"):
            if not client.collection_exists(name):
                raise UserError(f"there is no collection {name}: `mstar gallery export` makes it.")
            found = (client.get_collection(name).config.metadata or {}).get(_OF)
        if found != state:
            raise UserError(
                f"the collection {name} is unfinished, or not of the gallery as it is now: run "
                "`mstar gallery export` again."
            )

    def nearest(self, space: str, feature: Tensor, count: int) -> Tensor:
        """See `Nearest`."""
        from qdrant_client import models

        with answering(f"the collection {self.name}"):
            found = self.client.query_points(
                self.name,
                feature.tolist(),
                using=space,
                limit=count,
                with_payload=False,
                search_params=models.SearchParams(hnsw_ef=max(_LOOKED_AT, count)),
            )
            return torch.tensor([int(point.id) for point in found.points], dtype=torch.long)
