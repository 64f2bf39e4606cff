"""The state in which a model is judged."""

import threading

import pytest

from mstar import MstarConfig, MstarModel
from mstar.io.bench import evaluating


@pytest.fixture
def model():
    made = MstarModel(MstarConfig.tiny()).train()
    made.vision.eval()  # a frozen part
    return made


def modes(model):
    return [module.training for module in model.modules()]


def test_the_mode_is_as_it_was_after_nested_blocks(model):
    before = modes(model)
    with evaluating(model), evaluating(model):
        assert not any(modes(model))
    assert modes(model) == before


def test_of_two_threads_the_last_to_leave_puts_the_mode_back(model):
    """The first thread leaves while the second is inside: nobody may train there."""
    before, first_inside, second_inside, first_left = (
        modes(model),
        *(threading.Event() for _ in range(3)),
    )
    seen = []

    def first():
        with evaluating(model):
            first_inside.set()
            second_inside.wait(10)
        first_left.set()

    def second():
        first_inside.wait(10)
        with evaluating(model):
            second_inside.set()
            first_left.wait(10)
            seen.append(modes(model))

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 1 and not any(seen[0])
    assert modes(model) == before


def test_the_mode_is_put_back_after_an_error(model):
    before = modes(model)
    with pytest.raises(RuntimeError, match="inside"), evaluating(model):
        raise RuntimeError("inside")
    assert modes(model) == before
