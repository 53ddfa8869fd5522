"""What long work tells of itself, and how it is ended."""

import pytest
import torch
from samples import UNTRAINED

from embedseg_ops.data.drawn import cells
from embedseg_ops.data.progress import listening, steps, tell
from embedseg_ops.data.samples import Sample, normalize
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import SLIDERS, TUNED, PostprocessOptions
from embedseg_ops.predict.blocks.segment_blocks import segment_blocks
from embedseg_ops.predict.network import predict_network
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer


@pytest.fixture
def heard():
    """What is told in a test."""
    told = []
    with listening(lambda *news: told.append(news)):
        yield told


def test_steps_tell_what_is_done(heard):
    assert list(steps("abc", "letters", "letter", shown=False)) == list("abc")
    assert heard == [("letters", done, 3) for done in range(4)]


def test_without_a_listener_nothing_is_told():
    assert list(steps(iter("ab"), "letters", "letter", shown=False, total=2)) == ["a", "b"]
    tell("letters", 1, 2)


def test_a_listener_hears_its_own_work_alone(heard):
    with listening(lambda *news: None):
        tell("inside", 1, 1)
    tell("outside", 1, 1)
    assert heard == [("outside", 1, 1)]


def test_the_network_tells_its_tiles(heard):
    network = Settings(dim=2, filters=2, **UNTRAINED).build().eval()
    predict_network(torch.zeros(1, 64, 40), network, tile=40, overlap=16)
    assert heard[0] == ("network", 0, 2)
    assert heard[-1] == ("network", 2, 2)


def test_blocks_tell_every_pass(heard, tmp_path):
    settings = Settings(dim=2, filters=2, **UNTRAINED)
    image, _ = cells(0, 48, 5)
    segment_blocks(
        image, tmp_path / "labels.npy", (settings.build().eval(), settings), block=32, halo=8, progress=False
    )
    assert {"network", "seeds", "growth 1", "labels"} <= {name for name, _, _ in heard}
    assert all(done <= total for _, done, total in heard)


def test_what_a_listener_raises_ends_a_training(tmp_path):
    image, labels = cells(0, 48, 5)
    sample = Sample("drawn", normalize(image[None]), torch.from_numpy(labels))
    settings, heard = Settings(dim=2, filters=2, **UNTRAINED), []

    def stop(*news):
        heard.append(news)
        if len(heard) == 2:
            raise InterruptedError

    trainer = Trainer(tmp_path, settings, [sample], [], Options(steps=5, batch=1, crop=16))
    with listening(stop), pytest.raises(InterruptedError):
        trainer.run()
    assert heard == [("training", 1, 5), ("training", 2, 5)]


def test_every_option_of_the_postprocessing_has_a_slider():
    assert SLIDERS.keys() == PostprocessOptions.__annotations__.keys()
    for name, value in TUNED.items():
        lowest, highest, step = SLIDERS[name]
        assert lowest <= value <= highest
        assert abs((value - lowest) / step - round((value - lowest) / step)) < 1e-6
