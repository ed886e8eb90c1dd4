# SPDX-License-Identifier: Apache-2.0
"""Line and bar charts as SVG: pure functions from series to text. Colours are told apart by the colour-blind too, and each
series has a marker of its own. The background is white, so that charts read well on dark pages."""

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 520
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 88, 64
LEGEND = 270  # width of the legend, to the right of the plot
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f6000", "#56b4e9", "#555555", "#e69f00")
MARKERS = ("circle", "square", "triangle", "diamond")
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


@dataclass
class Series:
    """points: [(x, y)] or [(x, y, lowest, highest)], the spread. dashed: not measured beside the others. colour, marker: by
    number; None: by the series' place."""

    name: str
    points: list
    dashed: bool = False
    colour: int = None
    marker: int = None


@dataclass
class Axis:
    """label names the unit. log: logarithmic. ticks: where to write a value; chosen when empty. low, high: None: by the data."""

    label: str
    log: bool = False
    ticks: list = field(default_factory=list)
    low: float = None
    high: float = None


def number(value, digits=3):
    """As a person writes it: 10,000; 2.5; 0.03."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.{digits}g}" if abs(value) < 10 else f"{value:,.0f}"


def nice_step(span, wanted=6):
    rough = span / wanted
    power = 10 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)


class Scale:
    """From values to pixels between `begin` and `end`."""

    def __init__(self, axis, values, begin, end):
        self.log, self.begin, self.end = axis.log, begin, end
        low = axis.low if axis.low is not None else min(values)
        high = axis.high if axis.high is not None else max(values)
        if axis.log:
            self.ticks = axis.ticks or self.decades(low, high)
            low, high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        else:
            step = nice_step(high - low or 1)
            high = axis.high if axis.high is not None else math.ceil(high / step) * step
            self.ticks = axis.ticks or [low + i * step for i in range(int((high - low) / step + 1.001))]
        self.low, self.high = low, high

    @staticmethod
    def decades(low, high):
        """1, 2 and 5 of each power of ten within reach; only 1 when there are many."""
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        steps = (1, 2, 5) if last - first <= 2 else (1,)
        ticks = [m * 10.0 ** p for p in range(first, last + 1) for m in steps]
        below = [t for t in ticks if t <= low] or ticks[:1]
        above = [t for t in ticks if t >= high] or ticks[-1:]
        return [t for t in ticks if below[-1] <= t <= above[0]]

    def at(self, value):
        if self.log:
            value, low, high = (math.log10(max(v, 1e-12)) for v in (value, self.low, self.high))
        else:
            low, high = self.low, self.high
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def text(x, y, words, size=13, anchor="start", extra="", colour="#222"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' {extra}>"
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour="#ddd", width=1.0, extra=""):
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' stroke-width='{width}' {extra}/>"


def marker(kind, x, y, colour, r=4.5):
    if kind == "circle":
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r}' fill='{colour}'/>"
    shapes = {"square": ((-1, -1), (1, -1), (1, 1), (-1, 1)), "triangle": ((0, -1.2), (1.2, 1), (-1.2, 1)),
              "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0))}
    corners = " ".join(f"{x + dx * r:.1f},{y + dy * r:.1f}" for dx, dy in shapes[kind])
    return f"<polygon points='{corners}' fill='{colour}'/>"


def look_of(series, i):
    colour = COLOURS[(i if series.colour is None else series.colour) % len(COLOURS)]
    return colour, MARKERS[(i if series.marker is None else series.marker) % len(MARKERS)]


def frame(title, notes, x_axis, y_axis, ys, x_ticks, height=HEIGHT):
    """Title, axes and grid. notes: lines under the title; x_ticks: [(pixel, words)]."""
    right, bottom = WIDTH - RIGHT - LEGEND, height - BOTTOM
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' {FONT}>",
           f"<title>{escape(title)}</title>", f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
           text(LEFT, 26, title, 17, extra="font-weight='bold'"), *(text(LEFT, 46 + 17 * i, note, 12, colour="#555") for i, note in enumerate(notes))]
    for tick in ys.ticks:
        y = ys.at(tick)
        out += [line(LEFT, y, right, y), text(LEFT - 8, y + 4.5, number(tick), 12, "end")]
    for x, words in x_ticks:
        out.append(text(x, bottom + 20, words, 12, "middle"))
    out += [line(LEFT, TOP, LEFT, bottom, "#444"), line(LEFT, bottom, right, bottom, "#444"),
            text((LEFT + right) / 2, bottom + 46, x_axis.label, 13, "middle"),
            text(20, (TOP + bottom) / 2, y_axis.label, 13, "middle", f"transform='rotate(-90 20 {(TOP + bottom) / 2:.1f})'")]
    return out


def legend(items):
    """items: [(words, colour, marker or None for a box, dashed)]."""
    x, out = WIDTH - RIGHT - LEGEND + 22, []
    for i, (words, colour, kind, dashed) in enumerate(items):
        y = TOP + 8 + 22 * i
        if kind is None:
            out += [f"<rect x='{x}' y='{y - 6}' width='16' height='12' fill='{fill}'/>"
                    for fill in (colour, *(["url(#hatch)"] if dashed else []))]
        else:
            out += [line(x - 4, y, x + 20, y, colour, 2.2, "stroke-dasharray='5 4'" if dashed else ""),
                    marker(kind, x + 8, y, colour)]
        out.append(text(x + 27, y + 4.5, words, 12))
    return out


def lines(title, notes, x_axis, y_axis, series):
    """A line chart; notes say the conditions."""
    values = [v for s in series for p in s.points for v in p[1:]]
    xs = Scale(x_axis, [p[0] for s in series for p in s.points], LEFT + 24, WIDTH - RIGHT - LEGEND - 24)
    ys = Scale(y_axis, values, HEIGHT - BOTTOM, TOP)
    out = frame(title, notes, x_axis, y_axis, ys, [(xs.at(t), number(t)) for t in xs.ticks])
    items = []
    for i, one in enumerate(series):
        colour, kind = look_of(one, i)
        aside = 3 * (i - (len(series) - 1) / 2)  # so that one sees each spread
        places = [(xs.at(p[0]) + aside, ys.at(p[1])) for p in one.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = "stroke-dasharray='6 4'" if one.dashed else ""
        out.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.2' {dash}/>")
        for p, (x, _) in zip(one.points, places):
            if len(p) == 4:
                out.append(line(x, ys.at(p[2]), x, ys.at(p[3]), colour, 1.2))
        out += [marker(kind, x, y, colour) for x, y in places]
        items.append((one.name, colour, kind, one.dashed))
    return "\n".join([*out, *legend(items), "</svg>"]) + "\n"


def bars(title, notes, x_axis, y_axis, groups, series):
    """Groups of bars; series: points are (number of the group, y), hatched when dashed. Values stand above the bars."""
    ys = Scale(y_axis, [*([] if y_axis.log else [0]), *(p[1] for s in series for p in s.points)], HEIGHT - BOTTOM, TOP)
    width = (WIDTH - RIGHT - LEGEND - LEFT) / len(groups)
    bar = min(40.0, width * 0.84 / len(series))
    middles = [LEFT + width * (i + 0.5) for i in range(len(groups))]
    out = frame(title, notes, x_axis, y_axis, ys, list(zip(middles, groups)))
    out.insert(1, "<defs><pattern id='hatch' width='6' height='6' patternTransform='rotate(45)' patternUnits='userSpaceOnUse'>"
               "<rect width='3' height='6' fill='white' fill-opacity='0.55'/></pattern></defs>")
    present = {g: [i for i, s in enumerate(series) if any(p[0] == g for p in s.points)] for g in range(len(groups))}
    for i, one in enumerate(series):
        colour, _ = look_of(one, i)
        for group, value in one.points:
            place = present[group].index(i) - len(present[group]) / 2
            x, y = middles[group] + place * bar, ys.at(value)
            box = f"x='{x + 1:.1f}' y='{y:.1f}' width='{bar - 2:.1f}' height='{HEIGHT - BOTTOM - y:.1f}'"
            out.append(f"<rect {box} fill='{colour}'/>")
            if one.dashed:
                out.append(f"<rect {box} fill='url(#hatch)'/>")
            at = x + bar / 2
            out.append(text(at, y - 4, number(value, 2), 11, "middle") if bar > 30 else
                       text(at + 4, y - 5, number(value, 2), 11, "start", f"transform='rotate(-90 {at + 4:.1f} {y - 5:.1f})'"))
    return "\n".join([*out, *legend([(s.name, look_of(s, i)[0], None, s.dashed) for i, s in enumerate(series)]), "</svg>"]) + "\n"
