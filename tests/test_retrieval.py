import pytest
import torch

from mstar.retrieval import rerank, rerank_count


@pytest.mark.parametrize(
    ("images", "ratio", "count"),
    [(1, 0.02, 1), (2, 0.02, 2), (50, 0.02, 2), (100, 0.07, 7), (101, 0.02, 3), (1000, 0.05, 50)],
)
def test_a_share_of_the_gallery_is_reranked_and_at_least_two(images, ratio, count):
    assert rerank_count(images, ratio) == count


def test_only_the_best_images_gain():
    scores = torch.tensor([[0.1, 0.5, 0.4, 0.3], [0.9, 0.2, 0.8, 0.1]])
    probability = torch.full((2, 4), 0.5)
    expected = torch.tensor([[0.1, 1.0, 0.9, 0.3], [1.4, 0.2, 1.3, 0.1]])
    torch.testing.assert_close(rerank(scores, probability, 0.02), expected)


def test_the_probability_may_be_computed_for_the_best_alone():
    scores = torch.rand(3, 7, generator=torch.Generator().manual_seed(0))
    table = torch.rand(3, 7, generator=torch.Generator().manual_seed(1))
    asked = []

    def probability(text, images):
        asked.append(images.tolist())
        return table[text, images]

    torch.testing.assert_close(rerank(scores, probability, 0.4), rerank(scores, table, 0.4))
    assert asked == scores.topk(3).indices.tolist()
