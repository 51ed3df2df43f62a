"""``neural-style recipes``: the named settings, side by side or one by one with their sources."""

from ..recipes.presets import DEFAULT_RECIPE, RECIPES, RECOMMENDED_RECIPE, get_recipe
from .flags import flags_of_settings, write_value

# Sums over squared differences, of activations F and of Gram matrices G; C channels, M positions.
_CONTENT = {
    "sum": "Σ ΔF²",
    "half": "½ Σ ΔF²",
    "mean": "Σ ΔF² / CM",
    "quarter-mean": "Σ ΔF² / 4CM",
    "relative": "Σ ΔF² / Σ F²",
}
_STYLE = {
    "mean-per-position": "Σ ΔG² / C²M",
    "gatys": "Σ ΔG² / 4C²M²",
    "mean-of-means": "Σ ΔG² / C²M²",
    "mean": "Σ ΔG² / C²",
    "relative": "Σ ΔG² / Σ G²",
}
# Instead, for means μ and covariances S of activations.
_MOMENTS = "½ (Σ ΔS² / Σ S² + Σ Δμ² / Σ μ²)"
_VARIATION = {
    "quadratic": "Σ Δ² / 16",
    "absolute": "Σ |Δ|",
    "mean-absolute": "mean |Δ|",
    "mean-squared": "mean Δ²",
}


# What a recipe in one pass has in the columns below.
_ONE_PASS = {
    "network": lambda r: f"generator {r.network}",
    "optimizer": lambda r: "none",
    "steps": lambda r: "one pass",
}


def _content(recipe):
    losses = recipe.losses
    return f"{write_value(losses.content_weight)} × {_CONTENT[losses.content_norm]} at {_layers(losses.content_layers)}"


def _style(recipe):
    losses = recipe.losses
    shares = losses.style_layer_weights
    layers = _layers(losses.style_layers)
    if len(shares) == 1 and shares[0] != 1:
        layers += f", {shares[0]:g} each"
    elif len(shares) > 1:
        layers += f", {write_value(shares)}"
    elif not shares:
        layers += ", their mean"
    compared = _MOMENTS if losses.style_statistic == "moments" else _STYLE[losses.style_norm]
    style = f"{write_value(losses.style_weight)} × {compared} at {layers}"
    if losses.motif_weight > 0:
        style += f"; {write_value(losses.motif_weight)} × mean (1 − max cos) at {_layers(losses.motif_layers)}"
    return style


def _variation(recipe):
    if recipe.losses.tv_weight <= 0:
        return "none"
    return f"{write_value(recipe.losses.tv_weight)} × {_VARIATION[recipe.losses.tv_kind]}"


def _layers(layers):
    named = [f"convolution {layer[1:]}" if layer.startswith("#") else layer for layer in layers]
    return f"{named[0]} … {named[-1]}" if len(named) > 2 else " and ".join(named)


def _start(recipe):
    start = recipe.start
    if start.initial != "noise":
        return "recoloured content" if start.initial == "recoloured" else start.initial
    noise = f"{start.noise} noise"
    return noise if start.noise_share == 1 else f"{start.noise_share:g} {noise} + {1 - start.noise_share:g} content"


def _optimizer(recipe):
    rate = recipe.settings().get("learning_rate")
    name = recipe.optimizer.optimizer + ("" if rate is None else f", rate {rate:g}")
    return name + ("; parts divided by their values" if recipe.losses.adaptive else "")


# What tells recipes apart at a glance.
_COLUMNS = (
    ("network", lambda r: f"{r.losses.model}, {r.losses.pooling} pooling"),
    ("content", _content),
    ("style", _style),
    ("total variation", _variation),
    ("start", _start),
    ("optimizer", _optimizer),
    ("steps", lambda r: " + ".join(map(str, r.size.pyramid + (r.stopping.max_steps,)))),
    ("long edge", lambda r: f"{r.size.max_long_edge}" + (", square" if r.size.shape == "square" else "")),
)

_DEFAULTS = {DEFAULT_RECIPE: " (the default)", RECOMMENDED_RECIPE: " (the default of stylize)"}


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.add_argument("name", nargs="?", choices=list(RECIPES), help="recipe to show in full")
    parser.add_argument("--markdown", action="store_true", help="the list as a table for a text in Markdown")
    parser.set_defaults(run=_run)


def table():
    """Return the recipes side by side: a row of headings, then one row of str for each recipe."""
    rows = [["recipe"] + [heading for heading, _ in _COLUMNS]]
    return rows + [[recipe.name] + [_describe(recipe, *column) for column in _COLUMNS] for recipe in RECIPES.values()]


def _describe(recipe, heading, describe):
    if recipe.feed_forward and heading != "long edge":
        return _ONE_PASS.get(heading, lambda r: "learnt" if heading != "start" else "content")(recipe)
    return describe(recipe)


def markdown():
    """Return `table` as Markdown, a recipe in each row."""
    headings, *rows = table()
    lines = [headings, ["---"] * len(headings)] + [[f"`{row[0]}`"] + row[1:] for row in rows]
    return "\n".join("| " + " | ".join(line).replace("|Δ|", "\\|Δ\\|") + " |" for line in lines)


def _run(args):
    if args.name:
        _show(get_recipe(args.name))
    elif args.markdown:
        print(markdown())
    else:
        headings, *rows = table()
        for row in rows:
            summary = RECIPES[row[0]].summary
            print(f"{row[0]}: {summary}" + _DEFAULTS.get(row[0], ""))
            for heading, value in list(zip(headings, row))[1:]:
                print(f"    {heading:16} {value}")
        print("\n'neural-style recipes NAME' shows every setting with its source.")
    return 0


def _show(recipe):
    print(f"{recipe.name}: {recipe.summary}\n")
    flags = flags_of_settings()
    lines = [
        (flags[name], write_value(value) or "''", recipe.source(name)) for name, value in recipe.settings().items()
    ]
    width = max(len(flag) for flag, _, _ in lines)
    for flag, value, source in lines:
        print(f"{flag:{width}}  {value:18}  {source}")
