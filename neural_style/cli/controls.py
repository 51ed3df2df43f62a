"""The flags of an artist: several styles, masks, a palette. To and from the command line."""

import argparse

from ..errors import SettingsError
from ..recipes.presets import RECOMMENDED_RECIPE
from .flags import FLAGS, PrintHelp, add_flags, make_parser, numbers, write_flag, write_value

# No mask for one of several paintings.
_NONE = ""


class ControlsHelp(PrintHelp):
    """Prints the flags of `add_control_flags`."""

    @staticmethod
    def shown(parser):
        """Make a parser of them."""
        listed = make_parser(
            "Several styles, where each of them goes, and whose colours the result has. A mask is an image of any "
            "size: white is all, black is nothing, grey is in between.",
            usage=argparse.SUPPRESS,
            add_help=False,
        )
        _add(listed.add_argument_group("several styles, one number for each PAINTING"), _STYLES)
        _add(listed.add_argument_group("masks"), _MASKS)
        group = listed.add_argument_group("colours")
        add_flags(group, {"--colors": FLAGS["--colors"]}, shown=RECOMMENDED_RECIPE)
        _add(group, _COLOURS)
        return listed


_STYLES = {
    "--style-weights": dict(
        type=numbers, metavar="X,...", help="share of each style where they are blended (default: equal)"
    ),
    "--style-scales": dict(
        type=numbers, metavar="X,...", help="size of the strokes of each, times --style-scale (default: 1 each)"
    ),
}
_MASKS = {
    "--mask": dict(
        action="append",
        metavar="FILE",
        help="where on the result a style goes: once for each PAINTING in order; those left over, and '', are for what "
        "the others leave",
    ),
    "--mask-colors": dict(
        type=lambda word: word.split(","),
        metavar="COLOR,...",
        help="the colour of each painting's part in a mask of several colours, such as red,#00f; one --mask is then "
        "enough for all",
    ),
    "--style-mask": dict(
        action="append",
        metavar="FILE",
        help="which part of a painting counts: once for each in order; '' for all of it",
    ),
    "--keep": dict(metavar="FILE", help="mask of where the photograph stays as it is"),
    "--strength-mask": dict(metavar="FILE", help="mask of how much style there is from place to place"),
}
_COLOURS = {
    "--palette": dict(
        metavar="FILE",
        help="image whose colours the result gets, by --colors match-covariance unless --colors says otherwise",
    )
}


def add_control_flags(group):
    """Add the flags to a group, where its help does not show them."""
    _add(group, {**_STYLES, **_MASKS, **_COLOURS}, hidden=True)


def _add(group, flags, hidden=False):
    for name, settings in flags.items():
        group.add_argument(name, **dict(settings, help=argparse.SUPPRESS if hidden else settings["help"]))


def make_styles(args, paintings):
    """Make the styles that the flags describe.

    Parameters
    ----------
    args : argparse.Namespace
    paintings : sequence of str
        Files.

    Returns
    -------
    list of jobs.inputs.StyleFile

    Raises
    ------
    SettingsError
        If there are more values than paintings, or they make no sense.
    """
    from ..jobs.inputs import MaskFile, StyleFile

    def one_each(flag, values, rest):
        values, count = list(values or ()), len(paintings)
        if len(values) > count:
            what = "one painting" if count == 1 else f"{count} paintings"
            raise SettingsError(f"{flag} has {len(values)} values for {what}; give one for each")
        return values + [rest] * (count - len(values))

    for flag, given in (("--style-weights", args.style_weights), ("--style-scales", args.style_scales)):
        if given and len(given) != len(paintings):
            raise SettingsError(f"{flag} has {len(given)} numbers for {len(paintings)} paintings; give one for each")
    files, colors = args.mask or [], one_each("--mask-colors", args.mask_colors, None)
    if args.mask_colors and not files:
        raise SettingsError("--mask-colors are those of a mask; name it with --mask")
    if args.mask_colors and len(files) == 1:
        files = files * len(args.mask_colors)
    masks = [
        MaskFile(file, color or None) if file != _NONE else None
        for file, color in zip(one_each("--mask", files, _NONE), colors)
    ]
    sources = [file or None for file in one_each("--style-mask", args.style_mask, _NONE)]
    weights, scales = (one_each("", given, 1.0) for given in (args.style_weights, args.style_scales))
    return [StyleFile(*values) for values in zip(paintings, weights, scales, masks, sources)]


def make_controls(args):
    """Make the `jobs.inputs.ControlFiles` that the flags describe."""
    from ..jobs.inputs import ControlFiles

    return ControlFiles(args.keep, args.strength_mask, args.palette)


def write_controls(record):
    """Return the words of a command line that give styles and controls: the reverse of the functions above.

    Parameters
    ----------
    record : dict
        Of a job or an image, with ``styles`` and ``controls``.
    """
    words, styles = [], record["styles"]
    for flag, key in (("--style-weights", "weight"), ("--style-scales", "scale")):
        values = [style[key] for style in styles]
        if any(value != 1 for value in values):
            words += write_flag(flag, write_value(tuple(map(float, values))))
    colors = ",".join((style["mask"] or {}).get("color") or "" for style in styles).rstrip(",")
    for flag, key in (("--mask", "mask"), ("--style-mask", "source_mask")):
        files = [style[key]["file"] if style[key] else _NONE for style in styles]
        while files and files[-1] == _NONE:
            files.pop()
        if key == "mask" and len(set(files)) == 1 and len(colors.split(",")) == len(files):
            files = files[:1]  # of one image with a colour for each
        for file in files:
            words += write_flag(flag, file)
    if colors:
        words += write_flag("--mask-colors", colors)
    for flag, key in (("--keep", "keep"), ("--strength-mask", "strength"), ("--palette", "palette")):
        if record["controls"][key]:
            words += write_flag(flag, record["controls"][key]["file"])
    return words
