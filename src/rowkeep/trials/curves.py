"""Curves over time as an SVG picture: one panel each, every scale from zero."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

import msgspec

PANEL_WIDTH = 420
PANEL_HEIGHT = 150
MARGIN = 44
COLUMNS = 2


class Curve(msgspec.Struct, frozen=True):
    """One line: a value for each minute."""

    title: str
    minutes: Sequence[float]
    values: Sequence[float]


def curves_svg(curves: Sequence[Curve]) -> str:
    """Returns the picture as SVG."""
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * (PANEL_WIDTH + MARGIN) + MARGIN, rows * (PANEL_HEIGHT + 2 * MARGIN)
    panels = [
        _panel(curve, index % COLUMNS * (PANEL_WIDTH + MARGIN) + MARGIN, index // COLUMNS)
        for index, curve in enumerate(curves)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(curve: Curve, left: float, row: int) -> str:
    top = row * (PANEL_HEIGHT + 2 * MARGIN) + MARGIN
    bottom, right = top + PANEL_HEIGHT, left + PANEL_WIDTH
    last_minute, highest = max(curve.minutes), max(curve.values) or 1.0
    tall = PANEL_HEIGHT * 0.92
    points = " ".join(
        f"{left + minute / last_minute * PANEL_WIDTH:.1f},{bottom - value / highest * tall:.1f}"
        for minute, value in zip(curve.minutes, curve.values, strict=True)
    )
    return (
        f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(curve.title)}</text>\n'
        f'<path d="M{left} {top} V{bottom} H{right}" fill="none" stroke="#888"/>\n'
        f'<text x="{left - 4}" y="{bottom}" text-anchor="end">0</text>\n'
        f'<text x="{left - 4}" y="{bottom - tall + 4}" text-anchor="end">{highest:,.4g}</text>\n'
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{last_minute:.0f} min</text>\n'
        f'<polyline points="{points}" fill="none" stroke="#2266aa" stroke-width="1.5"/>\n'
    )
