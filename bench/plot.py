"""A plot of the fetches as SVG: two panels over the number of connections, throughput and 99th percentile."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 760, 340
_PANEL, _TALL = 300, 210
_TOP = 60
_LEFTS = (60, 440)
_LINES = (
    ("keywright", "plain", "Keywright", "#0b6e4f", ""),
    ("keywright", "tls", "Keywright, TLS", "#0b6e4f", "5 4"),
    ("openbao", "plain", "OpenBao", "#b3541e", ""),
    ("openbao", "tls", "OpenBao, TLS", "#b3541e", "5 4"),
)


@dataclass(frozen=True)
class Line:
    """One contender's figures: (connections, figure)."""

    name: str
    colour: str
    dashes: str
    points: Sequence[tuple[int, float]]


def svg(results: Mapping[str, Any]) -> str:
    """The plot; nothing where fetches were not measured."""
    found = results.get("fetch", {})
    if "keywright" not in found:
        return ""
    panels = [
        _panel(_LEFTS[0], "fetches a second", _lines(found, "throughput")),
        _panel(_LEFTS[1], "99th percentile, milliseconds", _lines(found, "p99")),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="Fetches by number of connections">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, ground, *panels, _legend(), "</svg>"]) + "\n"


def _lines(found: Mapping[str, Any], key: str) -> list[Line]:
    lines = []
    for who, transport, name, colour, dashes in _LINES:
        rows = found[who].get(transport, {})
        points = [(int(number), float(row[key])) for number, row in rows.items() if number.isdecimal()]
        lines.append(Line(name, colour, dashes, [(n, y) for n, y in sorted(points) if y > 0 and math.isfinite(y)]))
    return [line for line in lines if line.points]


def _panel(left: int, title: str, lines: Sequence[Line]) -> str:
    """Both axes are logarithmic: what is twice as much is equally far away everywhere."""
    numbers = sorted({n for line in lines for n, _ in line.points})
    figures = [y for line in lines for _, y in line.points]
    decades = _decades(min(figures, default=1), max(figures, default=10))
    x = _Scale(math.log2(numbers[0] if numbers else 1), math.log2(numbers[-1] if numbers else 2), left, left + _PANEL)
    y = _Scale(math.log10(decades[0]), math.log10(decades[-1]), _TOP + _TALL, _TOP)
    parts = [f'<text x="{left}" y="{_TOP - 14}" font-weight="bold">{escape(title)}</text>']
    for decade in decades:
        at = y(math.log10(decade))
        parts.append(f'<line x1="{left}" y1="{at:.1f}" x2="{left + _PANEL}" y2="{at:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end" fill="#555555">{decade:,g}</text>')
    for number in numbers:
        at = x(math.log2(number))
        parts.append(f'<text x="{at:.1f}" y="{_TOP + _TALL + 18}" text-anchor="middle" fill="#555555">{number}</text>')
    middle = left + _PANEL / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_TOP + _TALL + 36}" text-anchor="middle" fill="#555555">connections</text>'
    )
    for line in lines:
        places = [(x(math.log2(n)), y(math.log10(figure))) for n, figure in line.points]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}/>')
        parts += [f'<circle cx="{a:.1f}" cy="{d:.1f}" r="3" fill="{line.colour}"/>' for a, d in places]
    return "\n".join(parts)


def _legend() -> str:
    parts = []
    for place, (_, _, name, colour, dashes) in enumerate(_LINES):
        left = _LEFTS[0] + 170 * place
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<line x1="{left}" y1="20" x2="{left + 26}" y2="20" stroke="{colour}" stroke-width="2"{dashed}/>')
        parts.append(f'<text x="{left + 32}" y="24">{escape(name)}</text>')
    return "\n".join(parts)


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.first + share * (self.last - self.first)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten that hold everything between them, two at least."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
