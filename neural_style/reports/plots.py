"""The plots of a page about a run, drawn by matplotlib as SVG.

Their colours are variables of the page's style sheet, so they follow the reader's light or dark scheme. matplotlib is
imported when a plot is drawn.
"""

import io
import math
import re

import numpy as np

# Colours in a plot that stand for variables of templates/page.css. matplotlib receives only these colours, so no other
# part of a plot has them.
_INK, _SOFT, _LINE = "#010101", "#010102", "#010103"
_STYLE, _CONTENT, _VARIATION, _LIMIT = ["#01020%d" % i for i in range(6)], "#010301", "#010302", "#010303"
_VARIABLES = {
    _INK: "ink",
    _SOFT: "soft",
    _LINE: "line",
    _CONTENT: "content",
    _VARIATION: "variation",
    _LIMIT: "limit",
    **{colour: f"style-{i}" for i, colour in enumerate(_STYLE)},
}

# In inches of 72 units. At the width of a phone, the page shows plots at 3/4 of this size, with text of 10 pixels.
_PLOT_SIZE, _PLOT_FONT = (6.6, 3.9), 13.5


def draw_plots(trace):
    """Return the plots of a run, drawn from its trace; none if it has no steps."""
    steps = trace["steps"]
    if not steps:
        return []
    numbers = [step["number"] for step in steps]
    stop_eps = trace["settings"].get("stop_eps", {}).get("value")

    def column(key):
        return [step[key] for step in steps]

    losses = {}
    for step in steps:
        for name in step["losses"]:
            losses.setdefault(name, [one["losses"].get(name) for one in steps])
    style = [name for name in losses if name.startswith(("style", "motif"))]
    lines = [_Line("total", column("loss"), _INK, width=2.4)]
    for name, values in losses.items():
        if name in style:
            shade = _STYLE[round(style.index(name) * (len(_STYLE) - 1) / max(1, len(style) - 1))]
            lines.append(_Line(name, values, shade))
        elif name.startswith("content"):
            lines.append(_Line(name, values, _CONTENT))
        else:
            lines.append(_Line(name, values, _VARIATION, dashes=(5, 2)))
    change = [_Line("relative change", column("relative_change"), _STYLE[2])]
    if stop_eps is not None and stop_eps > 0:
        change.append(_Line("stop threshold", [stop_eps] * len(steps), _LIMIT, dashes=(5, 2)))
    norm = [
        _Line("gradient norm", column("gradient_norm"), _STYLE[2]),
        _Line("clipping bound", column("clip_norm"), _LIMIT, dashes=(5, 2)),
    ]
    # For L-BFGS it is the length of the step along the direction.
    rate = "step length" if trace["settings"]["optimizer"]["value"] == "lbfgs" else "learning rate"
    levels = level_begins(trace)
    return [
        _plot("losses", "Loss by part", numbers, lines, levels, log=True),
        _plot("change", "Relative change of the image", numbers, change, levels, log=True),
        _plot("norm", "Gradient norm", numbers, norm, levels, log=True),
        _plot("rate", rate.capitalize(), numbers, [_Line(rate, column("learning_rate"), _STYLE[2])], levels, log=False),
    ]


def draw_evaluations(losses):
    """Return the plot of the loss of each evaluation of a training: pairs of number of batches and loss."""
    numbers, values = zip(*losses)
    log = max(values) > 3 * min(values) > 0
    line = _Line("on held-out images", values, _INK, width=2.4)
    return _plot("losses", "Loss", numbers, [line], [], log=log, axis="batches")


def level_begins(trace):
    """Return the numbers of the steps at which the pyramid continues with a larger image."""
    steps = trace["steps"]
    return [step["number"] for before, step in zip(steps, steps[1:]) if step["level"] != before["level"]]


class _Line:
    """One line of a plot and its entry in the legend."""

    def __init__(self, name, values, colour, width=1.6, dashes=None):
        self.name = name.replace("_", " ", 1)  # the part of the objective and its layer
        self.values = [math.nan if value is None else value for value in values]
        self.colour, self.width, self.dashes = colour, width, dashes
        self.variable = _VARIABLES[colour]

    def ends(self, numbers):
        """Return step and value of the first and last point of the line; a part may be missing from some steps."""
        known = [(number, value) for number, value in zip(numbers, self.values) if math.isfinite(value)]
        return known[0], known[-1]


def _plot(key, title, numbers, lines, levels, log, axis="step"):
    """Draw lines over the steps, and dotted verticals at `levels`; return what the template shows of a plot."""
    import matplotlib
    from matplotlib.figure import Figure

    drawn = [line for line in lines if np.isfinite(line.values).any() and (not log or np.nanmax(line.values) > 0)]
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": key,
        "font.size": _PLOT_FONT,
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _SOFT,
        "text.color": _INK,
        "xtick.color": _SOFT,
        "ytick.color": _SOFT,
        "axes.unicode_minus": False,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=_PLOT_SIZE, layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        for line in drawn:
            style = {"linestyle": (0, line.dashes)} if line.dashes else {}
            marker = {"marker": "o", "markersize": 4} if len(numbers) == 1 else {}
            axes.plot(numbers, line.values, color=line.colour, linewidth=line.width, **style, **marker)
        for number in levels:
            axes.axvline(number, color=_SOFT, linewidth=1, linestyle=(0, (1, 3)))
        if log:
            axes.set_yscale("log", nonpositive="mask")
        axes.set_xlabel(axis)
        axes.grid(color=_LINE, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(which="both", length=3)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
        if log:
            _label_log_axis(axes)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", metadata={"Date": None})
    alternative = f"{title}: nothing to draw"
    if drawn:
        (begin, first), (end, last) = drawn[0].ends(numbers)
        alternative = f"{title}: {drawn[0].name} from {first:.3g} at {axis} {begin} to {last:.3g} at {axis} {end}"
    return {
        "title": title,
        "log": log,
        "lines": [(line.name, line.variable, bool(line.dashes), line.ends(numbers)[1][1]) for line in drawn],
        "svg": _inline(drawing.getvalue(), key, alternative),
    }


def _label_log_axis(axes):
    """Label every power of ten, or round values in between if the axis spans less than two."""
    from matplotlib import ticker

    low, high = axes.get_ylim()
    if math.log10(high / low) < 1.5:
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _inline(svg, key, alternative):
    """Make matplotlib's SVG part of a page: without headers, with unique ids, and with the page's colours and font."""
    import html

    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{key}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit-font", svg)
    svg = re.sub(r"font: ([\d.]+)px inherit-font", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: inherit-font;? ?", "", svg)
    head = f'<svg role="img" aria-label="{html.escape(alternative)}"'
    return re.sub(r'^<svg([^>]*?) (?:width|height)="[^"]*"([^>]*?)', lambda m: head + m[1] + m[2], svg, count=1)
