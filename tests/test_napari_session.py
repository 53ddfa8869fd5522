"""The napari plugin without napari: images of every kind, outputs kept, labels from them, corrections."""

import numpy as np
import pytest
import torch
from samples import UNTRAINED

from embedseg_ops.command.sliders import sliders
from embedseg_ops.data.drawn import cells
from embedseg_ops.data.progress import listening
from embedseg_ops.model.files import save_model
from embedseg_ops.model.registry import find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.napari import outputs
from embedseg_ops.napari.corrections import fine_tune
from embedseg_ops.napari.pixels import name_axes, places, see
from embedseg_ops.napari.session import MAPS, Session
from embedseg_ops.ops.options import TUNED
from embedseg_ops.predict.blocks.options import complete
from embedseg_ops.predict.segment import segment, segment_with_scores

IMAGE, TRUTH = cells(3, 96, 20)


@pytest.fixture
def model(tmp_path):
    """Return a function that makes a tiny model's file."""

    def make(**settings):
        torch.manual_seed(0)
        made = Settings(
            dim=4, filters=4, **UNTRAINED, postprocess={"seed_threshold": 0.1, "max_cosine_distance": 1.0}, **settings
        )
        save_model(tmp_path / "model.safetensors", made.build(), made)
        return tmp_path / "model.safetensors"

    return make


@pytest.fixture
def session():
    """Return a session with the shipped model and a drawn image, segmented."""
    session = Session()
    session.choose_model(find_model(), "cpu")
    session.choose_image(IMAGE)
    session.segment()
    return session


@pytest.mark.parametrize(
    ("shape", "rgb", "settings", "axes"),
    [
        ((9, 9), False, {}, "YX"),
        ((5, 9, 9), False, {}, "ZYX"),
        ((2, 5, 9, 9), False, {}, "TZYX"),
        ((9, 9, 3), True, {}, "YXS"),
        ((5, 9, 9, 4), True, {}, "ZYXS"),
        ((2, 9, 9), False, {"channels": 2}, "CYX"),
        ((4, 2, 9, 9), False, {"channels": 2}, "ZCYX"),
        ((5, 9, 9), False, {"spatial_dims": 3}, "ZYX"),
        ((2, 5, 9, 9), False, {"spatial_dims": 3}, "TZYX"),
    ],
)
def test_axes_have_names(shape, rgb, settings, axes):
    assert name_axes(shape, rgb, Settings(**settings)) == axes


@pytest.mark.parametrize(("shape", "dims"), [((9,), 2), ((1, 2, 3, 9, 9), 2), ((9, 9), 3)])
def test_a_layer_with_other_axes_is_refused(shape, dims):
    with pytest.raises(ValueError, match="axes; this layer's are"):
        name_axes(shape, False, Settings(spatial_dims=dims))


def test_colours_become_the_model_s_channels():
    colours = np.random.default_rng(0).integers(0, 255, (4, 8, 6, 4), np.uint8)
    assert see(colours, True, Settings()).shape == (4, 1, 8, 6)
    view = see(colours, True, Settings(channels=3))
    assert np.array_equal(view[1], colours[1, ..., :3].transpose(2, 0, 1))
    assert list(places(view)) == [(0,), (1,), (2,), (3,)]


def test_the_labels_are_those_of_segment(session):
    assert np.array_equal(session.labels, segment(IMAGE, device="cpu"))


def test_options_change_the_labels_without_the_network(session, monkeypatch):
    monkeypatch.setattr(outputs, "predict_image", None)  # whoever runs the network fails
    before = session.labels.copy()
    session.options["min_object_size"] = 150
    objects = session.label()
    assert 0 < objects < before.max()
    assert objects == session.labels.max()
    session.options["min_object_size"] = TUNED["min_object_size"]
    assert session.label() == before.max()
    assert np.array_equal(session.labels, before)


def test_a_stack_is_segmented_plane_by_plane(session):
    stack = np.stack([IMAGE, IMAGE[::-1]])
    assert session.choose_image(stack)
    assert not session.choose_image(stack)
    session.segment([(1,)])
    assert session.labels[0].max() == 0
    session.segment()
    assert np.array_equal(session.labels[1], segment(stack[1], device="cpu"))
    assert session.map("embedding").shape == (2, 96, 96, 3)


def test_maps_show_what_the_network_said(session):
    maps = {kind: session.map(kind) for kind in MAPS}
    assert maps["distance map"].dtype == np.float32
    assert maps["embedding"].shape == (96, 96, 3)
    assert maps["seeds"].max() >= session.labels.max()
    assert ((maps["seeds"] > 0) <= (maps["distance map"] > 0)).all()


def test_volumes_and_dask_arrays(session, model):
    dask = pytest.importorskip("dask.array")
    volume = np.stack([IMAGE[:32, :24]] * 16)
    session.choose_model(model(spatial_dims=3), "cpu")
    session.choose_image(dask.from_array(volume, chunks=8))
    session.segment()
    assert session.labels.shape == volume.shape
    assert np.array_equal(session.labels, segment(volume, model(spatial_dims=3), device="cpu"))
    assert session.map("embedding").shape == (*volume.shape, 3)


def test_what_does_not_fit_into_memory_goes_in_blocks(session):
    stack = np.stack([IMAGE, IMAGE.T])
    blocks = Session(memory=0, side=64)
    blocks.choose_model(find_model(), "cpu")
    blocks.choose_image(stack)
    blocks.segment()
    for place in (0, 1):
        assert np.array_equal(blocks.labels[place], segment(stack[place], device="cpu"))
    blocks.options["min_object_size"] = session.options["min_object_size"] = 150
    session.label()
    blocks.label([(0,)])
    assert np.array_equal(blocks.labels[0], session.labels)
    assert blocks.map("seeds") is None
    found, expected = blocks.table((0,), (0.5, 0.5)), session.table((), (0.5, 0.5))
    assert list(found) == list(expected)
    assert len(found["id"]) == blocks.labels[0].max() > 0
    for name, column in expected.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-5 if name == "score" else 1e-9)
    for labels in (blocks.labels[0], session.labels):
        labels[labels == 2] = 0  # as if it had been erased
    found, expected = blocks.table((0,)), session.table(())
    assert 2 not in found["id"]
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
    assert len(Session().table((0,))["id"]) == 0


def test_volumes_come_to_the_model_s_spacing(model):
    volume = np.stack([IMAGE[:32, :24]] * 16)
    for memory in (None, 0):
        session = Session(memory=memory, side=64)
        session.choose_model(model(spatial_dims=3, spacing=(1.0, 1.0, 1.0)), "cpu")
        session.choose_image(volume)
        session.spacing = (2.0, 0.5, 0.5)
        session.segment()
        expected = segment(volume, session.model, spacing=session.spacing)
        assert np.array_equal(session.labels, expected)


def test_edited_labels_are_left_alone(session):
    edited = session.labels
    edited[:5, :5] = 99
    session.keep_labels()
    session.label()
    assert (edited[:5, :5] == 99).all()
    assert 99 not in session.labels


def test_objects_are_measured(session, model):
    table = session.table((), (0.5, 0.5))
    assert list(table["id"]) == list(range(1, session.labels.max() + 1))
    assert np.allclose(table["area_µm²"], table["area"] / 4)
    assert "mean_0" in table
    assert np.array_equal(table["score"], segment_with_scores(IMAGE, device="cpu")[1])
    session.choose_model(model(), "cpu")  # which has no calibration
    session.choose_image(IMAGE)
    session.segment()
    assert "score" not in session.table(())


def test_a_model_and_an_image_come_first():
    session = Session()
    with pytest.raises(ValueError, match="choose a model first"):
        session.choose_image(IMAGE)
    session.choose_model(find_model(), "cpu")
    with pytest.raises(ValueError, match="choose an image first"):
        session.segment()


def test_corrections_train_a_model(session, model, tmp_path):
    session.choose_model(model(), "cpu")
    session.choose_image(IMAGE)
    session.segment()
    session.labels[...] = 0
    with pytest.raises(ValueError, match="there are no labels to train on"):
        session.samples()
    session.labels[...] = TRUTH
    session.options["seed_threshold"] = 0.25
    told = []
    with listening(lambda *news: told.append(news)):
        made = fine_tune(session.samples(), session.tuned_settings(), session.model_file, tmp_path / "run", 3)
    assert told[-1] == ("training", 3, 3)
    session.choose_model(made)
    assert session.options["seed_threshold"] == 0.25
    with pytest.raises(FileExistsError, match="holds a training run already"):
        fine_tune([], session.tuned_settings(), made, tmp_path / "run")


def test_sliders_say_what_postprocess_says():
    made = {slider.name: slider for slider in sliders(complete({"seed_threshold": 1.5}))}
    assert made["seed_threshold"].high == 1.5
    assert made["seed_threshold"].help.startswith("pixels whose distance is above it form the seeds")
    assert made["min_seed_size"].whole
    assert not made["min_seed_size"].may_be_off
    assert made["background_threshold"].value is None
    assert made["background_threshold"].when_on == TUNED["background_threshold"]
