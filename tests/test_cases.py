"""Single examples: a scene with its labels, or a photograph with what is asked of it."""

import pytest
from PIL import Image

from mstar.data.scenes import sandbox
from mstar.evaluate.cases import example
from mstar.texts import Query


def test_a_rendered_scene_comes_with_its_labels_and_places():
    found = example(scene=12)
    scene = sandbox.scene(5, 12, "test")
    assert (found.scene.image == scene.image).all()
    assert found.queries == [Query(*one) for one in zip(scene.texts, scene.styles, strict=True)]
    assert [word for word, _ in found.words] == [region.word for region in scene.regions]
    other = example(texts="exit, phrase:way out")
    assert other.queries == [Query("exit", "word"), Query("way out", "phrase")]
    assert other.words


def test_a_photograph_needs_texts_and_has_no_places(tmp_path, monkeypatch):
    path = tmp_path / "street.png"
    Image.new("RGB", (30, 20), "red").save(path)
    monkeypatch.chdir(tmp_path)
    assert example().scene is not None  # no photograph is not those that lie here
    found = example(str(path), "exit")
    assert found.photo.size == (30, 20) and found.queries == [Query("exit", "word")]
    assert found.words == [] and found.scene is None
    with pytest.raises(ValueError, match="a photograph needs texts: say what to look for"):
        example(str(path))
    with pytest.raises(FileNotFoundError, match=r"there is no image .*none\.png"):
        example(str(tmp_path / "none.png"), "exit")
