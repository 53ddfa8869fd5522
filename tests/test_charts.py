"""Charts as SVG: every mark lies where its value says."""

import re
from xml.etree import ElementTree

import pytest

from embedseg_ops.evaluate.charts import WIDTH, Axis, Chart, number

ACROSS = Axis("IoU < 1", 0.5, 0.9)


def test_a_logarithmic_axis_spans_whole_decades():
    axis = Axis.decades("pixels", [200, 30_000])
    assert axis.ticks() == [100, 1_000, 10_000, 100_000]
    assert [axis.share(tick) for tick in axis.ticks()] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert Axis.decades("one", [10]).ticks() == [10, 100]


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [(0, 11, [0, 5, 10]), (0, 0.173, [0, 0.05, 0.1, 0.15]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 3, [0, 1, 2, 3]),
     (0, 125, [0, 50, 100]), (-3, 7, [-2, 0, 2, 4, 6]), (1, 1, [1])],
)  # fmt: skip
def test_a_linear_axis_has_round_numbers(first, last, ticks):
    assert Axis("", first, last).ticks() == pytest.approx(ticks)


def test_a_linear_axis_has_equal_lengths():
    assert ACROSS.ticks() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert ACROSS.share(0.6) == pytest.approx(0.25)
    assert Axis("none", 1, 1).share(1) == 0


def test_a_chart_is_a_picture_of_its_own():
    chart = Chart(ACROSS, Axis.decades("ms", [1, 1000]))
    chart.dot(0.5, 1, "red")
    chart.dot(0.9, 1000, "red")
    chart.line([0.5, 0.7, 0.9], [1, 10, 100], "blue", "a & b")
    root = ElementTree.fromstring(chart.svg())
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"IoU < 1", "― a & b", "1,000"} <= set(words)
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert dots == [chart.place(0.5, 1), chart.place(0.9, 1000)]
    assert dots[0][0] < dots[1][0]
    assert dots[0][1] > dots[1][1]
    assert re.findall('d="M([^"]*)" fill="none" stroke="blue"', chart.svg())[0].count("L") == 2


def test_many_lines_with_long_names_can_be_told_apart():
    chart = Chart(ACROSS, Axis("AP", 0, 1))
    for name in ("first", "a name that is longer than the key of a chart usually is"):
        chart.line([0.5, 0.9], [1, 0], "blue", name)
    root = ElementTree.fromstring(chart.svg())
    assert float(root.get("width")) - WIDTH > 6 * len(name)
    assert [path.get("stroke-dasharray") for path in root if path.get("stroke") == "blue"] == [None, "6 4"]


def test_numbers():
    assert [number(value) for value in (0.123456, 12.345, 999.4, 12345.6)] == ["0.123", "12.3", "999", "12,346"]
