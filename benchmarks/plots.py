"""Pictures of a run as SVG: speed-ups, bandwidths, and times against sizes."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import limits
from benchmarks.document import Document
from benchmarks.growth import Point
from embedseg_ops.evaluate.charts import Axis, Chart, number, svg, text

NAMES, BAR, SPACE = 300, 400, 60  # widths of names, of the longest bar, and of the number after it, in pixels
LINE, TOP = 18, 34  # heights of a bar with its margin, and of the axis
OURS, LIMIT, SLOWER = "#1f6feb", "#999", "#d1242f"
PALETTE = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#222", "#0a7b83")
# what each axis of the growth is called, and how many dimensions its values are sides of
GROWTH = {"side": ("pixels", 2), "3D side": ("voxels", 3), "objects": ("objects", 1)}


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    colour: str


def draw(document: Document) -> dict[str, str]:
    """Return the pictures for which the document has numbers, by name."""
    pictures = {"speed-up": speed_up(document), "bandwidth": bandwidth(document)}
    pictures |= {f"time-against-{name}": growth(document, axis) for axis, (name, _) in GROWTH.items()}
    return {name: picture for name, picture in pictures.items() if picture}


def write(document: Document, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{name}.svg": picture for name, picture in draw(document).items()}
    for file, picture in files.items():
        file.write_text(picture + "\n", encoding="utf-8")
    return list(files)


def speed_up(document: Document) -> str:
    """Draw how many times as long as ours each peer takes, row by row."""
    groups = {}
    for row in document.rows:
        peers = {name: time for name, time in row.others.items() if not name.startswith(("ours", *limits.NAMES))}
        ratios = {name: time / row.ours.median for name, time in peers.items()} if row.ours else {}
        groups[row.name] = [Bar(name, ratio, OURS if ratio >= 1 else SLOWER) for name, ratio in ratios.items()]
    return bars("times as long as ours", groups, start=1.0)


def bandwidth(document: Document) -> str:
    """Draw the bytes that have to move, each once, over the time taken: a roofline without arithmetic."""
    groups = {}
    for row in document.rows:
        if row.ours is None or not row.ours.traffic:
            continue
        moving = [t for t in row.timings if t.traffic and t.repeats and t.threads == row.ours.threads]
        groups[row.name] = [
            Bar(t.name, t.traffic / t.median / 1e9, LIMIT if t.name in limits.NAMES else OURS) for t in moving
        ]
    return bars("GB/s", groups)


def bars(name: str, groups: dict[str, list[Bar]], start: float | None = None) -> str:
    """Draw groups of bars from `start`, or the end of the axis, on a logarithmic axis; nothing where there are none."""
    groups = {title: group for title, group in groups.items() if group}
    values = [bar.value for group in groups.values() for bar in group]
    if not values:
        return ""
    axis = Axis.decades(name, [*values, *([start] if start else [])])
    height = TOP + LINE * (len(values) + 1.5 * len(groups))
    parts = [text(8, 16, name)]
    for tick in axis.ticks():
        x = NAMES + axis.share(tick) * BAR
        parts += [f'<path d="M{x:.1f} 22V{height:.1f}" stroke="#ddd"/>', text(x, 16, number(tick), anchor="middle")]
    origin, y = axis.share(start or axis.first) * BAR, float(TOP)
    for title, group in groups.items():
        y += 1.5 * LINE
        parts.append(f'<g font-weight="bold">{text(8, y - 5, title)}</g>')
        for bar in group:
            end = axis.share(bar.value) * BAR
            left, right = NAMES + min(origin, end), NAMES + max(origin, end)
            size = f'width="{right - left:.1f}" height="{LINE - 4}"'
            parts += [
                f'<rect x="{left:.1f}" y="{y:.1f}" {size} fill="{bar.colour}"/>',
                text(NAMES - 8, y + 11, bar.name, anchor="end"),
                text(right + 6, y + 11, number(bar.value), bar.colour),
            ]
            y += LINE
    return svg(NAMES + BAR + SPACE, height, parts)


def growth(document: Document, axis: str) -> str:
    """Draw every operator's time per pixel against the size of the image, or the number of objects."""
    points = [point for point in document.growth if isinstance(point, Point) and point.axis == axis]
    if not points:
        return ""
    name, dimensions = GROWTH[axis]
    sizes = [point.value**dimensions for point in points]
    across, up = Axis.decades(name, sizes), Axis.decades("ns per pixel", [point.nanoseconds for point in points])
    chart = Chart(across, up)
    for index, operator in enumerate(dict.fromkeys(point.name for point in points)):
        own = [point for point in points if point.name == operator]
        xs, ys = [point.value**dimensions for point in own], [point.nanoseconds for point in own]
        chart.line(xs, ys, PALETTE[index % len(PALETTE)], operator)
    return chart.svg()
