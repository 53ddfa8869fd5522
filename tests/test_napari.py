"""The napari plugin in napari: on a viewer without a window, and in a real one where there is a display."""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # napari's own, of its dependencies
    pytest.importorskip("napari", reason="napari is needed")
    pytest.importorskip("qtpy.QtWidgets", reason="a Qt binding is needed", exc_type=ImportError)
    from napari.components import ViewerModel
    from npe2 import PluginManifest
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    from embedseg_ops.napari.panel import Panel

import embedseg_ops
from embedseg_ops.data.drawn import cells
from embedseg_ops.napari.layers import shown_place
from embedseg_ops.napari.sample_data import drawn_cells, drawn_stack
from embedseg_ops.predict.segment import segment

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # napari's own

IMAGE, TRUTH = cells(3, 96, 20)
MANIFEST = Path(embedseg_ops.__file__).with_name("napari.yaml")


@pytest.fixture(scope="session")
def app():
    return QApplication.instance() or QApplication([])


def finish(*works):
    """Let the window's thread do what comes in until there is no work left."""
    until = time.monotonic() + 300
    while any(work.worker or work.waiting for work in works):
        QApplication.processEvents()
        assert time.monotonic() < until, "work does not end"
    QApplication.processEvents()


@pytest.fixture
def panel(app):
    """Return the panel on a viewer without a window, with a drawn image."""
    viewer = ViewerModel()
    viewer.add_image(IMAGE, name="drawn", scale=(0.5, 0.5), units="um")
    panel = Panel(viewer)
    finish(panel.work)
    yield panel
    panel.work.cancel()
    finish(panel.work, panel.table.work)
    panel.close()


def press(panel, button):
    button.changed.emit(True)
    finish(panel.work, panel.table.work)


def test_the_manifest_names_what_is_there():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "embedseg-ops"


def test_segmenting_adds_the_objects_above_the_image(panel):
    press(panel, panel.run)
    objects = panel.viewer.layers["drawn objects"]
    assert np.array_equal(objects.data, segment(IMAGE, device="cpu"))
    assert tuple(objects.scale) == (0.5, 0.5)
    assert panel.status.value == f"{objects.data.max()} objects"
    assert panel.image.value.name == "drawn"


def test_maps_are_shown_and_hidden(panel):
    panel.maps["seeds"].value = True
    press(panel, panel.run)
    for kind in ("distance map", "embedding"):
        panel.maps[kind].value = True
        finish(panel.work)
    assert [layer.name for layer in panel.viewer.layers] == [
        "drawn", "drawn seeds", "drawn distance map", "drawn embedding", "drawn objects",
    ]  # fmt: skip
    assert panel.image.choices == (None, panel.viewer.layers["drawn"])
    assert panel.image.value is panel.viewer.layers["drawn"]
    panel.maps["seeds"].value = False
    assert "drawn seeds" not in panel.viewer.layers


def test_a_slider_labels_again_without_the_network(panel, monkeypatch):
    press(panel, panel.run)
    monkeypatch.setattr("embedseg_ops.napari.outputs.predict_image", None)
    before = panel.session.labels.max()
    panel.sliders.parts["min_object_size"][0].value = 150
    finish(panel.work)
    assert 0 < panel.viewer.layers["drawn objects"].data.max() < before
    assert panel.status.value.endswith("ms")
    line, switch = panel.sliders.parts["background_threshold"]
    switch.value = False
    finish(panel.work)
    assert panel.session.options["background_threshold"] is None
    assert not line.enabled


def test_edited_labels_are_never_overwritten(panel):
    press(panel, panel.run)
    objects = panel.viewer.layers["drawn objects"]
    objects.data_setitem((np.arange(5), np.arange(5)), 99)
    panel.sliders.parts["min_object_size"][0].value = 50
    finish(panel.work)
    assert objects.name == "drawn corrected"
    assert (objects.data[np.arange(5), np.arange(5)] == 99).all()
    assert 99 not in panel.viewer.layers["drawn objects"].data


def test_table_and_labels_follow_each_other(panel):
    press(panel, panel.run)
    objects, table = panel.viewer.layers["drawn objects"], panel.table.widget
    assert table.rows.names[:3] == ["id", "score", "centroid_y"]
    assert "area_µm²" in table.rows.names
    table.selectRow(2)
    assert objects.selected_label == 3
    centre = [float(values[2]) for name, values in zip(table.rows.names, table.rows.columns, strict=True)
              if name in ("centroid_y", "centroid_x")]  # fmt: skip
    assert np.allclose(panel.viewer.camera.center[1:], np.array(centre) / 2)
    objects.selected_label = 5
    assert table.currentIndex().row() == 4
    table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    areas = table.rows.columns[3]
    assert (np.diff(areas) <= 0).all()


def test_the_table_stays_while_another_model_has_seen_no_image(panel):
    press(panel, panel.run)
    before = panel.table.widget.rows
    panel.model.value = "nuclei-crowded"
    finish(panel.work)
    panel.viewer.add_image(np.stack([IMAGE] * 3), name="stack")
    panel.viewer.dims.set_current_step(0, 2)
    finish(panel.work, panel.table.work)
    assert panel.table.widget.rows is before


def test_a_stack_is_segmented_where_it_is_shown(panel):
    stack = drawn_stack()[0][0][:, :96, :96]
    panel.viewer.add_image(stack, name="stack")
    assert panel.image.value.name == "stack"
    panel.viewer.dims.set_point(0, 2)
    assert shown_place(panel.viewer, panel.image.value, 1) == (2,)
    press(panel, panel.run)
    labels = panel.viewer.layers["stack objects"].data
    assert np.array_equal(labels[2], segment(stack[2], device="cpu"))
    assert labels[:2].max() == 0
    panel.planes.value = "all"
    press(panel, panel.run)
    assert (labels.max((1, 2)) > 0).all()


def test_a_level_of_a_pyramid_lies_where_the_image_does(panel):
    panel.viewer.add_image([IMAGE, IMAGE[::2, ::2]], name="pyramid", scale=(2, 2), translate=(10, 0))
    panel.level.value = 1
    press(panel, panel.run)
    objects = panel.viewer.layers["pyramid objects"]
    assert objects.data.shape == (48, 48)
    assert tuple(objects.scale) == (4, 4)
    assert tuple(objects.translate) == (11, 1)


def test_cancelled_work_changes_nothing(panel):
    panel.work.told.connect(lambda *news: panel.work.cancel())
    panel.session.memory, panel.session.side = 0, 32
    press(panel, panel.run)
    assert panel.status.value == "cancelled"
    assert [layer.name for layer in panel.viewer.layers] == ["drawn"]


def test_what_goes_wrong_is_said(panel, monkeypatch):
    said = []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    panel.viewer.add_image(np.full((20, 20), np.nan), name="nothing")
    press(panel, panel.run)
    assert "not finite" in panel.status.value
    assert said == [panel.status.value]


def test_a_model_that_is_not_there_is_not_taken_for_another(panel):
    panel.add_model("nowhere.safetensors")
    finish(panel.work)
    press(panel, panel.run)
    assert "nowhere.safetensors does not exist" in panel.status.value
    assert [layer.name for layer in panel.viewer.layers] == ["drawn"]


def test_corrections_make_a_model_that_is_chosen(panel, tmp_path):
    panel.viewer.add_labels(TRUTH, name="truth")
    panel.image.value = panel.viewer.layers["drawn"]
    assert panel.training.labels.value.name == "truth"
    panel.training.folder.value, panel.training.steps.value = tmp_path / "run", 1
    press(panel, panel.training.button)
    assert panel.session.model_file == tmp_path / "run" / "last.safetensors"
    assert panel.model.value == str(panel.session.model_file)
    press(panel, panel.run)
    assert panel.viewer.layers["drawn objects"].data.max() > 0


def test_samples_need_no_download():
    [(image, keywords, kind)] = drawn_cells()
    assert image.shape == (512, 512)
    assert (keywords["name"], kind) == ("cells", "image")


@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="a display with OpenGL is needed")
def test_a_real_window_shows_panel_and_table(app):
    import napari

    viewer = napari.Viewer(show=True)
    try:
        viewer.add_image(IMAGE, name="drawn")
        panel = Panel(viewer)
        viewer.window.add_dock_widget(panel)
        finish(panel.work)
        press(panel, panel.run)
        assert panel.table.widget.isVisible()
        picture = viewer.screenshot(canvas_only=True, flash=False)
        assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 50
    finally:
        viewer.close()
