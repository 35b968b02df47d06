"""A drawing of lines between two axes that count in powers of ten, as SVG that can be read by day and by night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 700, 420, 62, 170, 34, 46
LABEL_DISTANCE = 17
# Of each line by day and by night; no two of them are told apart by red and green alone.
COLOURS = (
    ("#0b5cad", "#6cb6ff"),
    ("#b35900", "#ffa657"),
    ("#6f42c1", "#d2a8ff"),
    ("#1a7f6b", "#56d4bc"),
    ("#666", "#999"),
)

_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" \
aria-labelledby="title desc">
<title id="title">{title}</title>
<desc id="desc">{told}</desc>
<style>
svg {{ --paper: #fff; --ink: #24292f; --grid: #d8dee4; {day} font: 13px system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ svg {{ --paper: #161b22; --ink: #e6edf3; --grid: #30363d; {night} }} }}
text {{ fill: var(--ink); }} .grid {{ stroke: var(--grid); }} .guide {{ stroke: var(--ink); stroke-dasharray: 3 5; }}
polyline {{ fill: none; stroke-width: 2.5; }}
</style>
<rect width="100%" height="100%" rx="8" style="fill: var(--paper)"/>
{drawn}
</svg>
"""


@dataclass(frozen=True)
class Line:
    """A line with its name and its points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """Lines, what the axes are called, and what one is told who does not see them."""

    title: str
    across: str
    upwards: str
    told: str
    lines: Sequence[Line]

    def svg(self) -> str:
        """The whole file."""
        day, night = (
            " ".join(f"--line-{number}: {pair[which]};" for number, pair in enumerate(COLOURS)) for which in (0, 1)
        )
        drawn = "\n".join([*self._axes(), *self._guide(), *self._curves(), *self._labels()])
        said = {"title": escape(self.title), "told": escape(self.told), "drawn": drawn}
        return _PAGE.format(width=WIDTH, height=HEIGHT, day=day, night=night, **said)

    def _axes(self) -> Iterator[str]:
        for power in self._powers(0):
            x = self._x(10.0**power)
            yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
        for power in self._powers(1):
            y = self._y(10.0**power)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.across)}</text>'
        yield f'<text x="{LEFT - 42}" y="{TOP - 14}">{escape(self.upwards)}</text>'

    def _guide(self) -> Iterator[str]:
        """What grows as the number of files does, as steep as it would be; it ends in the upper right corner."""
        across, upwards = self._powers(0), self._powers(1)
        steps = min(across[-1] - across[0], upwards[-1] - upwards[0])
        x, y = 10.0 ** across[-1], 10.0 ** upwards[-1]
        start = f"{self._x(x / 10**steps):.1f} {self._y(y / 10**steps):.1f}"
        yield f'<path class="guide" d="M{start}L{self._x(x):.1f} {self._y(y):.1f}"/>'

    def _curves(self) -> Iterator[str]:
        for number, line in enumerate(self.lines):
            points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in line.points)
            yield f'<polyline points="{points}" style="stroke: var(--line-{number})"/>'
            for x, y in line.points:
                place = f'cx="{self._x(x):.1f}" cy="{self._y(y):.1f}"'
                yield f'<circle {place} r="3.5" style="fill: var(--line-{number})"/>'

    def _labels(self) -> Iterator[str]:
        """At the end of each line, from above, none upon another."""
        ends = sorted((self._y(line.points[-1][1]), number) for number, line in enumerate(self.lines))
        lowest = -LABEL_DISTANCE * 1.0
        for y, number in ends:
            lowest = max(y + 4, lowest + LABEL_DISTANCE)
            style = f"fill: var(--line-{number}); font-weight: 600"
            name = escape(self.lines[number].name)
            yield f'<text x="{WIDTH - RIGHT + 10}" y="{lowest:.1f}" style="{style}">{name}</text>'

    def _x(self, value: float) -> float:
        first, *_, last = self._powers(0)
        return LEFT + (log10(value) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        first, *_, last = self._powers(1)
        return HEIGHT - BOTTOM - (log10(value) - first) / (last - first) * (HEIGHT - TOP - BOTTOM)

    def _powers(self, axis: int) -> range:
        values = [point[axis] for line in self.lines for point in line.points]
        first, last = floor(log10(min(values))), ceil(log10(max(values)))
        return range(first, max(last, first + 1) + 1)
