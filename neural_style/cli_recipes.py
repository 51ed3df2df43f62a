"""``neural-style recipes``: the named settings, side by side or one by one with their sources."""

from .cli import FLAGS, write_value
from .recipes import DEFAULT_RECIPE, RECIPES, get_recipe

# What tells recipes apart at a glance.
_COLUMNS = (
    ("network", lambda r: f"{r.model}, {r.pooling} pooling"),
    ("content", lambda r: f"{_layers(r.content_layers)}, {r.content_norm}"),
    ("style", lambda r: f"{_layers(r.style_layers)}, {r.style_norm}"),
    ("weights", lambda r: " : ".join(write_value(w) for w in (r.content_weight, r.style_weight, r.tv_weight))),
    ("start", lambda r: _start(r)),
    (
        "optimizer",
        lambda r: r.optimizer if r.optimizer == "lbfgs" else f"{r.optimizer}, rate {write_value(r.learning_rate)}",
    ),
    ("steps", lambda r: str(r.max_steps)),
    ("size", lambda r: f"{r.max_long_edge} px" + (", square" if r.shape == "square" else "")),
)


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.add_argument("name", nargs="?", choices=list(RECIPES), help="recipe to show in full")
    parser.add_argument("--markdown", action="store_true", help="the list as a table for a text in Markdown")
    parser.set_defaults(run=_run)


def table():
    """Give the recipes side by side: a row of headings, then one row of str for each recipe."""
    rows = [["recipe", "what it is"] + [heading for heading, _ in _COLUMNS]]
    return rows + [[r.name, r.summary] + [describe(r) for _, describe in _COLUMNS] for r in RECIPES.values()]


def markdown():
    """Give `table` as Markdown, a recipe in each row."""
    headings, *rows = table()
    lines = [headings, ["---"] * len(headings)] + [[f"`{row[0]}`"] + row[1:] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _run(args):
    if args.name:
        _show(get_recipe(args.name))
    elif args.markdown:
        print(markdown())
    else:
        headings, *rows = table()
        for row in rows:
            print(f"{row[0]}: {row[1]}" + (" (the default)" if row[0] == DEFAULT_RECIPE else ""))
            for heading, value in list(zip(headings, row))[2:]:
                print(f"    {heading:10} {value}")
        print("\n'neural-style recipes NAME' shows every setting with its source.")
    return 0


def _show(recipe):
    print(f"{recipe.name}: {recipe.summary}\n")
    flags = {flag.setting: option for option, flag in FLAGS.items()}
    flags["initial"] = "--init"
    lines = [(flags[name], write_value(value), recipe.sources[name]) for name, value in recipe.settings().items()]
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for flag, value, source in lines:
        print(f"{flag:{widths[0]}}  {value:{min(widths[1], 28)}}  {source}")


def _layers(layers):
    if all(layer.startswith("#") for layer in layers) and len(layers) > 1:
        return f"convolutions {layers[0][1:]} to {layers[-1][1:]}"
    return " ".join(f"convolution {layer[1:]}" if layer.startswith("#") else layer for layer in layers)


def _start(recipe):
    if recipe.initial == "content":
        return "content"
    noise = f"{recipe.noise} noise"
    return noise if recipe.noise_share == 1 else f"{recipe.noise_share:g} {noise}, {1 - recipe.noise_share:g} content"
