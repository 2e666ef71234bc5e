"""Small drawings for the docs, as SVG that any viewer shows: a curve, shades, bars."""

from collections.abc import Mapping, Sequence

INK, FAINT, BLUE = "#333333", "#cccccc", "#2f6f9f"
SIZE, EDGE = 300, 48  # of a plot and of its margins, in pixels


def _text(x: float, y: float, words: object, anchor: str = "middle", turn: int = 0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}'
    return f'<text {place} fill="{INK}">{words}</text>\n'


def _svg(width: float, height: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}</svg>\n'
    )


def curve(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """A line over 0 to 1, its height in shares up to the next tenth."""
    top = max(0.1, -(-max(y for _, y in points) * 10 // 1) / 10)
    side = SIZE - 2 * EDGE

    def place(x: float, y: float) -> tuple[float, float]:
        return EDGE + x * side, SIZE - EDGE - y / top * side

    body = ""
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, bottom), (_, height) = place(tick, 0.0), place(0.0, tick * top)
        body += f'<path d="M{x:.1f} {bottom:.1f}v{-side}" stroke="{FAINT}"/>\n'
        body += f'<path d="M{EDGE} {height:.1f}h{side}" stroke="{FAINT}"/>\n'
        body += _text(x, bottom + 15, f"{tick:.2f}")
        body += _text(EDGE - 5, height + 4, f"{tick * top:.2f}", "end")
    line = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
    body += f'<polyline points="{line}" fill="none" stroke="{BLUE}" stroke-width="2"/>\n'
    body += _text(SIZE / 2, SIZE - 12, across) + _text(14, SIZE / 2, up, turn=-90)
    return _svg(SIZE, SIZE, body)


def heat(labels: Sequence[str], rows: Sequence[Sequence[int]]) -> str:
    """True words down, said words across, each row's shares as shades."""
    cell, left = 34, 64
    body = ""
    for n, (label, row) in enumerate(zip(labels, rows, strict=True)):
        body += _text(left - 6, left + cell * (n + 0.6), label, "end")
        body += _text(left + cell * (n + 0.5), left - 8, label, "start", turn=-45)
        for k, count in enumerate(row):
            part = count / max(1, sum(row))
            x, y = left + cell * k, left + cell * n
            body += (
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{BLUE}" '
                f'fill-opacity="{part:.3f}" stroke="{FAINT}"/>\n'
            )
            if part >= 0.005:
                body += _text(x + cell / 2, y + cell * 0.6, f"{100 * part:.0f}")
    side = left + cell * len(labels)
    return _svg(side + 40, side + 10, body)


def bars(areas: Mapping[str, float]) -> str:
    """Areas under the ROC curve, from 0.5 (chance) to 1."""
    row, left, wide = 22, 130, 240
    body = ""
    for n, (name, area) in enumerate(areas.items()):
        y = 10 + n * row
        length = max(0.0, (area - 0.5) * 2.0) * wide
        body += _text(left - 6, y + 14, name, "end")
        for width, colour in ((wide, FAINT), (length, BLUE)):
            at = f'x="{left}" y="{y + 3}" width="{width:.1f}" height="{row - 6}"'
            body += f'<rect {at} fill="{colour}"/>\n'
        body += _text(left + wide + 6, y + 14, f"{area:.3f}", "start")
    return _svg(left + wide + 60, 20 + row * len(areas), body)
