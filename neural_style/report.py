"""Pages that show a run, or two pictures side by side: one HTML file each, which needs nothing else and no network.

Pictures are in the page as JPEG of bounded size; plots are drawn by matplotlib as SVG, whose colours are variables of
the page's style sheet, so that they follow the reader's light or dark scheme. The templates are in pages/.

matplotlib and Jinja2 are imported when a page is made; they come with the extra ``report``.
"""

import base64
import importlib.util
import io
import math
import re
from collections import OrderedDict

import numpy as np

from . import __version__
from .errors import DependencyError, ImageError
from .files import output_error, write_whole
from .images.reading import read_image

# With these a page stays below about 6 MB, however long the run and however large its pictures.
_MOST_ITERATES = 24
_ITERATE_EDGE, _INPUT_EDGE, _JPEG_QUALITY = 720, 480, 82

# Colours in a plot that stand for variables of pages/page.css. No one else uses them: matplotlib is given nothing else.
_INK, _SOFT, _LINE = "#010101", "#010102", "#010103"
_STYLE, _CONTENT, _VARIATION, _LIMIT = ["#01020%d" % i for i in range(6)], "#010301", "#010302", "#010303"
_VARIABLES = OrderedDict(
    [(_INK, "ink"), (_SOFT, "soft"), (_LINE, "line"), (_CONTENT, "content"), (_VARIATION, "variation")]
    + [(_LIMIT, "limit")]
    + [(colour, f"style-{i}") for i, colour in enumerate(_STYLE)]
)

# In inches of 72 units; at the width of a phone the page shows it at 3/4 of that, with text of 10 pixels.
_PLOT_SIZE, _PLOT_FONT = (6.6, 3.9), 13.5


def require_packages():
    """Raise DependencyError if a package that pages are made with is missing."""
    missing = [name for name in ("matplotlib", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(
            f"a report needs {' and '.join(missing)}; install what it takes with: pip install 'neural-style[report]'"
        )


def write_run_report(path, trace):
    """Write a page about a run.

    Parameters
    ----------
    path : str or path-like
    trace : dict
        Of a `trace.Trace`, or read from its file. Pictures are read from where it says; those that are gone since are
        left out.

    Raises
    ------
    OutputError
        If the page cannot be written.
    DependencyError
        If a package is missing.
    """
    require_packages()
    content, style, result = (
        _embed(file, _INPUT_EDGE) for file in (trace["content"]["file"], trace["style"]["file"], trace["result"])
    )
    _write_page(
        path,
        "run.html",
        trace=trace,
        shown=[
            ("content", _name(trace["content"]["file"]), content),
            ("style", _name(trace["style"]["file"]), style),
            ("result", trace["result"] and _name(trace["result"]), result),
        ],
        iterates=_iterates(trace),
        plots=_plots(trace),
        levels=len(_level_begins(trace)),
        facts=_facts(trace),
        summary=_summary(trace),
    )


def write_comparison_report(path, told, first, second, comparison):
    """Write a page about two pictures.

    Parameters
    ----------
    path : str or path-like
    told : dict
        What ``neural-style compare --json`` prints.
    first, second : numpy.ndarray
        Float64 (H, W, 3) in [0, 1], of one size.
    comparison : compare.Comparison

    Raises
    ------
    OutputError
        If the page cannot be written.
    DependencyError
        If a package is missing.
    """
    require_packages()
    greatest = max(1.0, float(np.ceil(comparison.difference.max())))
    _write_page(
        path,
        "comparison.html",
        told=told,
        name_a=_name(told["a"]["file"]),
        name_b=_name(told["b"]["file"]),
        picture_a=_jpeg(first, _ITERATE_EDGE),
        picture_b=_jpeg(second, _ITERATE_EDGE),
        maps=[
            ("Difference", "mean over the channels, in grey levels", "inferno", 0, greatest, comparison.difference),
            ("Structural similarity", "SSIM at every pixel, 1 is equal", "viridis", 0, 1, comparison.similarity),
        ],
    )


def _write_page(path, template, **values):
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, colour_map=_colour_map, ramp=_ramp)
    page = environment.get_template(template).render(version=__version__, **values)
    try:
        # Names of files may hold bytes that are no text.
        write_whole(path, page.encode("utf-8", "replace"))
    except OSError as error:
        raise output_error(path, error) from error


def _embed(file, edge):
    """Give a picture's file as the address of an embedded JPEG, None if there is no such picture."""
    if file is None:
        return None
    try:
        return _jpeg(read_image(file), edge)
    except ImageError:
        return None


def _jpeg(picture, edge):
    """Give a picture, uint8 or float in [0, 1], as the address of an embedded JPEG with at most that long edge."""
    from PIL import Image

    if picture.dtype != np.uint8:
        picture = np.rint(picture * 255).astype(np.uint8)
    small = Image.fromarray(picture)
    small.thumbnail((edge, edge), Image.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _colour_map(values, name, low, high):
    """Give a map (H, W) in false colours as the address of an embedded PNG."""
    import matplotlib
    from PIL import Image

    scaled = np.clip((values - low) / (high - low), 0, 1)
    rgb = Image.fromarray(np.rint(matplotlib.colormaps[name](scaled)[..., :3] * 255).astype(np.uint8))
    rgb.thumbnail((_ITERATE_EDGE, _ITERATE_EDGE), Image.LANCZOS)
    encoded = io.BytesIO()
    rgb.quantize(128).save(encoded, "PNG")
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _ramp(name):
    """Give a colour map as colours of a CSS gradient."""
    import matplotlib

    colours = matplotlib.colormaps[name](np.linspace(0, 1, 9))[:, :3]
    return ", ".join("#%02x%02x%02x" % tuple(int(round(c * 255)) for c in colour) for colour in colours)


def _iterates(trace):
    """Give the saved pictures, at most `_MOST_ITERATES` of them and the result always."""
    saved = [(picture["step"], picture["file"]) for picture in trace["pictures"]]
    if trace["result"]:
        saved.append((len(trace["steps"]), trace["result"]))
    chosen = np.unique(np.linspace(0, len(saved) - 1, min(len(saved), _MOST_ITERATES)).round().astype(int))
    steps = {step["number"]: step for step in trace["steps"]}
    iterates = []
    for step, file in (saved[i] for i in chosen):
        picture = _embed(file, _ITERATE_EDGE)
        if picture is None:
            continue
        text = f"step {step}"
        if file == trace["result"]:
            text = f"result, after {step} step{'' if step == 1 else 's'}"
        if step in steps:
            known = steps[step]
            text += f" · loss {known['loss']:.4g} · relative change {known['relative_change']:.2g}"
        iterates.append({"text": text, "picture": picture})
    return iterates


def _plots(trace):
    steps = trace["steps"]
    if not steps:
        return []
    numbers = [step["number"] for step in steps]
    stop_eps = trace["settings"].get("stop_eps", {}).get("value")

    def column(key):
        return [step[key] for step in steps]

    losses = OrderedDict()
    for step in steps:
        for name in step["losses"]:
            losses.setdefault(name, [one["losses"].get(name) for one in steps])
    style = [name for name in losses if name.startswith("style")]
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
    # Of L-BFGS it is the length of the step along the direction.
    rate = "step length" if trace["settings"]["optimizer"]["value"] == "lbfgs" else "learning rate"
    levels = _level_begins(trace)
    return [
        _plot("losses", "Loss by part", numbers, lines, levels, log=True),
        _plot("change", "Relative change of the image", numbers, change, levels, log=True),
        _plot("norm", "Gradient norm", numbers, norm, levels, log=True),
        _plot("rate", rate.capitalize(), numbers, [_Line(rate, column("learning_rate"), _STYLE[2])], levels, log=False),
    ]


def _level_begins(trace):
    """Give the numbers of the steps at which a larger picture of the pyramid begins."""
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
        """Give step and value where the line begins and where it ends; a part may be missing from some steps."""
        known = [(number, value) for number, value in zip(numbers, self.values) if math.isfinite(value)]
        return known[0], known[-1]


def _plot(key, title, numbers, lines, levels, log):
    """Draw lines over the steps, dotted verticals at `levels`; give what the template shows of a plot."""
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
        axes.set_xlabel("step")
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
        alternative = f"{title}: {drawn[0].name} from {first:.3g} at step {begin} to {last:.3g} at step {end}"
    return {
        "title": title,
        "log": log,
        "lines": [(line.name, line.variable, bool(line.dashes), line.ends(numbers)[1][1]) for line in drawn],
        "svg": _inline(drawing.getvalue(), key, alternative),
    }


def _label_log_axis(axes):
    """Label every power of ten, or, where the axis spans fewer than two, round values between."""
    from matplotlib import ticker

    low, high = axes.get_ylim()
    if math.log10(high / low) < 1.5:
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _inline(svg, key, alternative):
    """Make matplotlib's SVG a part of a page: no headers, names of its own, colours and font of the page."""
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


def _summary(trace):
    steps = len(trace["steps"])
    parts = [
        f"{steps} step{'' if steps == 1 else 's'}",
        trace["stop_text"] or "not finished",
        _duration(trace["seconds"]),
        f"recipe {trace['recipe']}",
    ]
    if "model" in trace["settings"]:
        parts.append(str(trace["settings"]["model"]["value"]))
    return parts


def _facts(trace):
    """Give the rows of the table about the run: pairs of name and value."""
    machine, rows = trace["machine"], []
    rows.append(("started", trace["started"].replace("T", " ").replace("+00:00", " UTC")))
    rows.append(("time", _duration(trace["seconds"])))
    seconds = sorted(step["seconds"] for step in trace["steps"] if step["seconds"] is not None)
    if seconds:
        rows.append(("time per step", f"{seconds[len(seconds) // 2]:.3g} s (median)"))
    rows.append(("seed", "none" if trace["seed"] is None else trace["seed"]))
    for kind in ("content", "style", "initial", "weights"):
        if trace[kind]:
            rows.append((kind, trace[kind]["file"]))
            rows.append((f"{kind}, SHA-256", trace[kind]["sha256"]))
    rows.append(("neural-style", trace["program"]))
    rows += [(name, version) for name, version in trace["versions"].items() if version]
    rows.append(("device", machine["device"] or "none was used"))
    rows.append(("processor", f"{machine['processor']}, {machine['processors']} visible"))
    rows.append(("system", machine["system"]))
    return rows


def _duration(seconds):
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _number(value):
    """Write a value for a reader."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_number, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _name(file):
    return re.split(r"[/\\]", str(file))[-1]
