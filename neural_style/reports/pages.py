"""Pages that show a run, a training, or two images: one HTML file each, which needs no other file and no network.

A page contains images as JPEG of bounded size, and plots as SVG. The templates are in templates/. matplotlib and Jinja2
are imported when a page is made; the extra ``report`` installs them.
"""

import base64
import importlib.util
import io
import re

import numpy as np

from .. import __version__
from ..errors import DependencyError, ImageError
from ..files import output_error, write_whole
from ..images.reading import read_image
from .inputs import list_inputs
from .plots import draw_evaluations, draw_plots, level_begins

# These keep a page below about 6 MB, however long the run and however large its images.
MOST_ITERATES = 24
_ITERATE_EDGE, _INPUT_EDGE, _JPEG_QUALITY = 720, 480, 82


def require_packages():
    """Raise DependencyError if a package is missing that is needed to make pages."""
    missing = [name for name in ("matplotlib", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(
            f"a report needs {' and '.join(missing)}; install with: pip install 'mxnet-neural-style[report]'"
        )


def is_page(head):
    """Return whether a file that begins like this is an HTML page."""
    return head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def write_run_report(path, trace):
    """Write a page about a run.

    Parameters
    ----------
    path : str or path-like
    trace : dict
        Of a `jobs.trace.Trace`, or read from its file. Images are read from the paths in it; missing ones are left out.

    Raises
    ------
    OutputError
        If the page cannot be written.
    DependencyError
        If a package is missing.
    """
    require_packages()
    one_pass = "generator" in trace["settings"]  # then nothing happens on the way
    shown = [(kind, entry["file"]) for kind, entry in list_inputs(trace) if kind != "start"]
    shown.append(("result", trace["result"]))
    styles = [style["file"] for style in trace["styles"]] or [trace["weights"]["file"]]
    _write_page(
        path,
        "run.html",
        trace=trace,
        shown=[(kind, file and _name(file), _embed(file, _INPUT_EDGE)) for kind, file in shown],
        iterates=[] if one_pass else _iterates(trace),
        plots=[] if one_pass else draw_plots(trace),
        levels=len(level_begins(trace)),
        facts=_facts(trace),
        summary=_summary(trace),
        names=[_name(trace["content"]["file"]), " and ".join(map(_name, styles))],
    )


def write_training_report(path, title, summary, shown, pictures, losses, facts):
    """Write a page about a training.

    Parameters
    ----------
    path : str or path-like
    title : str
    summary : sequence of str
    shown : sequence of (str, numpy.ndarray)
        What it learns from: captions, and images, uint8 (H, W, 3).
    pictures : sequence of (str, bytes)
        What it makes on the way, the last one last: captions, and JPEG files.
    losses : sequence of (int, float)
        Number of batches before each evaluation, and its loss.
    facts : sequence of (str, object)

    Raises
    ------
    OutputError
        If the page cannot be written.
    DependencyError
        If a package is missing.
    """
    require_packages()
    _write_page(
        path,
        "training.html",
        title=title,
        summary=summary,
        shown=[(caption, _jpeg(image, _INPUT_EDGE)) for caption, image in shown],
        iterates=[{"text": text, "image": _address("jpeg", encoded)} for text, encoded in pictures],
        plots=[draw_evaluations(losses)],
        facts=facts,
    )


def encode_picture(image):
    """Return an image, uint8 (H, W, 3), as a JPEG file of the size in which pages show pictures on the way."""
    return _encode(image, _ITERATE_EDGE)


def write_comparison_report(path, record, first, second, comparison):
    """Write a page about two images.

    Parameters
    ----------
    path : str or path-like
    record : dict
        The output of ``neural-style compare --json``.
    first, second : numpy.ndarray
        float64 (H, W, 3) in [0, 1], of the same size.
    comparison : metrics.similarity.Comparison

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
        record=record,
        name_a=_name(record["a"]["file"]),
        name_b=_name(record["b"]["file"]),
        image_a=_jpeg(first, _ITERATE_EDGE),
        image_b=_jpeg(second, _ITERATE_EDGE),
        maps=[
            ("Difference", "mean over the channels, in grey levels", "inferno", 0, greatest, comparison.difference),
            ("Structural similarity", "SSIM at every pixel, 1 means equal", "viridis", 0, 1, comparison.similarity),
        ],
    )


def _write_page(path, template, **values):
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, colour_map=_colour_map, ramp=_ramp)
    page = environment.get_template(template).render(version=__version__, **values)
    try:
        # File names may contain bytes that are not text.
        write_whole(path, page.encode("utf-8", "replace"))
    except OSError as error:
        raise output_error(path, error) from error


def _embed(file, edge):
    """Return an image file as the address of an embedded JPEG, or None if it cannot be read."""
    if file is None:
        return None
    try:
        return _jpeg(read_image(file), edge)
    except ImageError:
        return None


def _jpeg(image, edge):
    """Return an image, uint8 or float in [0, 1], as the address of an embedded JPEG with at most this long edge."""
    return _address("jpeg", _encode(image, edge))


def _encode(image, edge):
    from PIL import Image

    if image.dtype != np.uint8:
        image = np.rint(image * 255).astype(np.uint8)
    small = Image.fromarray(image)
    small.thumbnail((edge, edge), Image.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_JPEG_QUALITY)
    return encoded.getvalue()


def _address(kind, encoded):
    return f"data:image/{kind};base64," + base64.b64encode(encoded).decode("ascii")


def _colour_map(values, name, low, high):
    """Return a map (H, W) in false colours as the address of an embedded PNG."""
    import matplotlib
    from PIL import Image

    scaled = np.clip((values - low) / (high - low), 0, 1)
    rgb = Image.fromarray(np.rint(matplotlib.colormaps[name](scaled)[..., :3] * 255).astype(np.uint8))
    rgb.thumbnail((_ITERATE_EDGE, _ITERATE_EDGE), Image.LANCZOS)
    encoded = io.BytesIO()
    rgb.quantize(128).save(encoded, "PNG")
    return _address("png", encoded.getvalue())


def _ramp(name):
    """Return a colour map as the colours of a CSS gradient."""
    import matplotlib

    colours = matplotlib.colormaps[name](np.linspace(0, 1, 9))[:, :3]
    return ", ".join("#%02x%02x%02x" % tuple(int(round(c * 255)) for c in colour) for colour in colours)


def _iterates(trace):
    """Return the saved images: at most `MOST_ITERATES`, the result always among them."""
    saved = [(entry["step"], entry["file"]) for entry in trace["pictures"]]
    if trace["result"]:
        saved.append((len(trace["steps"]), trace["result"]))
    chosen = np.unique(np.linspace(0, len(saved) - 1, min(len(saved), MOST_ITERATES)).round().astype(int))
    steps = {step["number"]: step for step in trace["steps"]}
    iterates = []
    for step, file in (saved[i] for i in chosen):
        image = _embed(file, _ITERATE_EDGE)
        if image is None:
            continue
        text = f"step {step}"
        if file == trace["result"]:
            text = f"result, after {step} step{'' if step == 1 else 's'}"
        if step in steps:
            known = steps[step]
            text += f" · loss {known['loss']:.4g} · relative change {known['relative_change']:.2g}"
        iterates.append({"text": text, "image": image})
    return iterates


def _summary(trace):
    steps = len(trace["steps"])
    parts = [] if "generator" in trace["settings"] else [f"{steps} step{'' if steps == 1 else 's'}"]
    parts += [trace["stop_text"] or "not finished", _duration(trace["seconds"]), f"recipe {trace['recipe']}"]
    return parts + [
        str(trace["settings"][name]["value"]) for name in ("model", "generator") if name in trace["settings"]
    ]


def _facts(trace):
    """Return the rows of the table about the run: pairs of name and value."""
    machine, rows = trace["machine"], []
    rows.append(("started", trace["started"].replace("T", " ").replace("+00:00", " UTC")))
    rows.append(("time", _duration(trace["seconds"])))
    seconds = sorted(step["seconds"] for step in trace["steps"] if step["seconds"] is not None)
    if seconds:
        rows.append(("time per step", f"{seconds[len(seconds) // 2]:.3g} s (median)"))
    rows.append(("seed", "none" if trace["seed"] is None else trace["seed"]))
    weights = [("weights", trace["weights"]), ("generator of the start", trace["generator"])]
    for kind, file in [*list_inputs(trace), *((kind, file) for kind, file in weights if file)]:
        rows.append((kind, file["file"]))
        rows.append((f"{kind}, SHA-256", file["sha256"]))
    rows.append(("neural-style", trace["program"]))
    rows += [(name, version) for name, version in trace["versions"].items() if version]
    rows.append(("device", machine["device"] or "none used"))
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
    """Format a value for the reader."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_number, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _name(file):
    return re.split(r"[/\\]", str(file))[-1]
