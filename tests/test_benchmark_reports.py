"""What is made of measurements: comparisons, plots and a page's table, from made-up times."""

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not part of the package

from benchmarks import __main__ as command
from benchmarks import document, plots
from benchmarks.compare import compare
from benchmarks.growth import Flatness, Point, markdown
from benchmarks.harness import Timing
from benchmarks.memory import Peak
from benchmarks.report import Result, Verdict

MACHINE = {"cpu": "a processor", "threads": "2", "python": "3.11", "torch": "2.13"}
SCENE = {"name": "cells", "size": "8 x 8", "objects": "3", "D": "4", "dtype": "float32"}


def timing(name, milliseconds, threads=2, spread=0.1, **more):
    median = milliseconds / 1e3
    return Timing(name, threads, median, median, median * (1 - spread / 2), median * (1 + spread / 2), 9, **more)


def run(ours=10.0, peers=(50.0, 70.0, 90.0), machine=MACHINE, scene=SCENE, spread=0.1):
    others = [timing(f"peer {i}", milliseconds) for i, milliseconds in enumerate(peers)]
    limit = timing("read", 5, traffic=10**9)
    absent = Timing("absent", 2, note="not installed")
    rows = [
        Result("first", [limit, timing("ours", ours, spread=spread, traffic=2 * 10**9), *others]),
        Result("second", [timing("ours", 20), absent], [Verdict("≤ 3 ms", 20, False)]),
    ]
    growth = [Point("first", "side", side, 3.0, 2.0, 4.0) for side in (10, 100)]
    return document.Document(machine, scene, rows, [Peak("first", 64, 640, None)], [*growth, Flatness("a", "side", 1)])


def slowed(row, times):
    timings = [timing(t.name, t.median * 1e3 * times, t.threads) for t in row.timings]
    return replace(row, timings=timings)


def save(folder, name, found):
    (folder / name).write_text(found.json(), encoding="utf-8")
    return str(folder / name)


def verdicts(old, new):
    return [change.verdict for change in compare(old, new).changes]


def test_a_document_survives_json(tmp_path):
    file = save(tmp_path, "run.json", run())
    again = document.read(Path(file))
    assert again.json() == run().json()
    assert again.growth == run().growth
    assert again.markdown() == run().markdown()


def test_growth_is_a_table():
    found = [*run().growth, Point("second", "3D side", 64, 1.25, 1, 2), Point("first", "side", 1000, 4.5, 4, 5)]
    assert markdown(found).splitlines() == [
        "| ns per pixel | side 10 to 1,000 | 3D side 64 to 64 |",
        "| --- | ---: | ---: |",
        "| first | 3 to 4.5 |  |",
        "| second |  | 1.25 to 1.25 |",
    ]
    assert markdown(run().growth) in run().markdown()


def test_the_recorded_results_can_still_be_read():
    for file in (Path(__file__).parents[1] / "benchmarks" / "results").glob("cpu-*.json"):
        found = document.read(file)
        assert found.rows
        assert not compare(found, found).failed


@pytest.mark.parametrize(
    ("ours", "verdict"), [(10, "within noise"), (10.9, "within noise"), (11.5, "SLOWER"), (8.5, "faster")]
)
def test_only_what_leaves_both_spreads_is_slower(ours, verdict):
    assert verdicts(run(), run(ours)) == [verdict, "within noise"]
    assert compare(run(), run(ours)).failed == (verdict == "SLOWER")


def test_wide_spreads_hide_a_change():
    assert verdicts(run(spread=0.4), run(12, spread=0.4))[0] == "within noise"
    assert verdicts(run(), run(12))[0] == "SLOWER"


def test_what_slows_everything_down_is_noise():
    everything = run(15, peers=(75.0, 105.0, 135.0))
    assert verdicts(run(), everything)[0] == "within noise"
    assert verdicts(run(), run(15))[0] == "SLOWER"


def test_a_busy_phase_during_a_row_is_noise_there_alone():
    def twice(second):
        quiet, other = run().rows[0], replace(run(second).rows[0], name="other")
        return replace(run(), rows=[quiet, other, *[replace(quiet, name=str(i)) for i in range(9)]])

    busy = replace(twice(30), rows=[row if row.name != "other" else slowed(row, 3) for row in twice(10).rows])
    assert verdicts(twice(10), busy)[1] == "within noise"
    assert verdicts(twice(10), twice(30))[:2] == ["within noise", "SLOWER"]


def test_differences_of_machine_scene_and_rows_are_said():
    other = run(machine={**MACHINE, "threads": "64"})
    assert "ANOTHER MACHINE" in str(compare(run(), other))
    assert "threads 64, then 2" in str(compare(run(), other))
    smaller = compare(run(), run(scene={**SCENE, "size": "4 x 4"}))
    assert smaller.failed
    assert "ANOTHER SCENE" in str(smaller)
    fewer = replace(run(), rows=run().rows[:1])
    assert "second, ours, 2t: timed then, not now" in str(compare(run(), fewer))
    assert "second" not in str(compare(run(), fewer, part=True))
    assert compare(run(), replace(run(), rows=[])).failed  # nothing was compared


def test_the_command_compares_two_files(tmp_path, capsys):
    old, new = save(tmp_path, "old.json", run()), save(tmp_path, "new.json", run(20))
    assert command.main(["--compare", old, old]) == 0
    assert command.main(["--compare", old, new]) == 1
    assert "first, ours, 2t: 10 → 20 ms, 2 x, SLOWER" in capsys.readouterr().out
    assert command.main(["--from", new, "--compare", old]) == 1
    with pytest.raises(SystemExit):
        command.main(["--compare", old, old, new])


def test_ours_must_not_fail_and_nobody_be_wrong():
    def noted(name, note):
        return replace(run(), rows=[Result("row", [timing("read", 1), Timing(name, 2, note=note)])]).wrong

    assert noted("ours", "failed: OSError")
    assert noted("peer", "WRONG: 3")
    assert not noted("peer", "failed: OSError")
    assert not noted("peer", "not installed")


def test_bars_are_as_long_as_their_logarithms():
    [picture] = [ElementTree.fromstring(plots.speed_up(run(10, peers=(100.0, 1000.0, 5.0))))]
    svg = "{http://www.w3.org/2000/svg}"
    _, *bars = picture.iter(f"{svg}rect")  # without the paper
    (ten, blue), (hundred, _), (half, red) = ((float(bar.get("width")), bar.get("fill")) for bar in bars)
    assert hundred == pytest.approx(2 * ten, abs=0.2)
    assert half == pytest.approx(ten * 0.30103, abs=0.2)
    assert (blue, red) == (plots.OURS, plots.SLOWER)
    assert {"10", "100", "0.5"} <= {text.text for text in picture.iter(f"{svg}text")}


def test_bandwidth_is_traffic_over_time():
    words = plots.bandwidth(run())
    assert ">200<" in words  # two gigabytes in 10 ms, and one in 5 ms
    assert "second" not in words  # its traffic is not known


def test_one_command_draws_and_fills_in_a_page(tmp_path):
    source, page = save(tmp_path, "run.json", run()), tmp_path / "page.md"
    page.write_text(f"before\n{document.START}\nold\n{document.END}\nafter\n", encoding="utf-8")
    assert command.main(["--from", source, "--plots", str(tmp_path / "plots"), "--page", str(page)]) == 0
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before")
    assert written.endswith("after\n")
    assert "old" not in written
    assert "| first | - | 10 | read 5 |" in written
    assert "| first | peer 1 | 70 | 7 |" in written
    assert "| second | ≤ 3 ms: 20, NOT REACHED |" in written
    drawn = {file.name for file in (tmp_path / "plots").iterdir()}
    assert drawn == {"speed-up.svg", "bandwidth.svg", "time-against-pixels.svg"}  # all that the run has numbers for
    assert all(f"(plots/{name})" in written for name in drawn)
    for name in drawn:
        ElementTree.parse(tmp_path / "plots" / name)
    assert command.main(["--from", source, "--page", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count("| first | - |") == 1


def test_a_page_without_a_place_for_them_is_refused():
    with pytest.raises(ValueError, match="no place"):
        document.insert(f"{document.START} and no end", "text")
