"""``neural-style weights``: list, fetch, verify and import network parameters."""

import os
from pathlib import Path

from ..errors import OutputError, WeightsError
from ..files import Output, check_outputs
from ..networks.generators import find_generator_kind
from ..networks.vgg import ARCHITECTURES
from ..weights.catalogue import KNOWN_FILES, cache_folder, digest
from ..weights.checks import fitting_models
from ..weights.downloads import fetch
from ..weights.generator_importers import GENERATOR_LAYOUTS, detect_generator_layout, import_generator
from ..weights.generators import check_generator, read_generator
from ..weights.importers import LAYOUTS, import_weights
from ..weights.lookup import SUFFIX, describe_weights, find_weights, list_weights, verify_weights
from ..weights.params_file import read_index, save_weights
from .console import say, say_path


def add_arguments(parser):
    """Add the actions of the command to its parser."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")

    action = _add_action(actions, "list", "show the weights in the known places, and those that can be fetched", _list)
    _add_models_dir(action, "look here first")

    action = _add_action(actions, "fetch", "download known files, and check them before they are put in place", _fetch)
    described = "; ".join(f"{known.name}: {known.description}" for known in KNOWN_FILES.values())
    action.add_argument("names", nargs="+", choices=list(KNOWN_FILES), metavar="NAME", help=described)
    _add_models_dir(action, "put them here instead of into the user's cache")
    _add_replace(action)

    action = _add_action(actions, "verify", "read a file in full and check every parameter up to relu5_1", _verify)
    action.add_argument("weights", metavar="FILE|NAME", help="a file, or the name of one in the known places")
    _add_model(action, "network it must fit (default: as the file shows)")
    _add_models_dir(action, "look here first")

    action = _add_action(actions, "import", "convert another program's file to this program's layout", _import)
    action.add_argument("source", metavar="FILE", help="the file to convert, or the folder of a generator")
    layouts = {**LAYOUTS, **GENERATOR_LAYOUTS}
    described = "; ".join(f"{layout.name}: {layout.description}" for layout in layouts.values())
    action.add_argument(
        "--layout", choices=list(layouts), help=f"where it comes from (default: as the file shows). {described}"
    )
    _add_model(action, "network it holds (default: as the file shows)")
    places = action.add_mutually_exclusive_group()
    places.add_argument("--output", metavar="FILE", help=f"what to write (default: MODEL{SUFFIX} in the user's cache)")
    _add_models_dir(places, f"write MODEL{SUFFIX} here")
    _add_replace(action)


def _add_action(actions, name, description, run):
    action = actions.add_parser(name, help=description, description=description)
    action.set_defaults(run=run)
    return action


def _add_models_dir(parser, description):
    parser.add_argument("--models-dir", metavar="DIR", help=description)


def _add_model(parser, description):
    parser.add_argument("--model", choices=list(ARCHITECTURES), help=description)


def _add_replace(parser):
    parser.add_argument("--replace", action="store_true", help="overwrite another file of the same name")


def _list(args):
    for record in list_weights(args.models_dir):
        fits = "/".join(record.models) + (f" to {record.deepest}" if record.deepest else "")
        size = f"{record.size / 1e6:.1f} MB" if record.size is not None else "-"
        where = "  ".join(filter(None, (str(record.path or ""), record.note)))
        say(f"{record.name:16} {size:>9}  {fits:20}  {where}".rstrip())
    return 0


def _fetch(args):
    for name in args.names:
        say_path(fetch(name, args.models_dir, replace=args.replace))
    return 0


def _verify(args):
    path = find_weights(args.weights, args.weights, args.models_dir)
    if args.model is None and find_generator_kind(read_index(path)):
        kind, parameters = read_generator(path)
        size = path.stat().st_size / 1e6
        say(f"{path}: generator, kind {kind.name}, {size:.1f} MB, {len(parameters)} parameters complete and finite")
        print(f"sha256 {digest(path)}")
        return 0
    record = verify_weights(path, args.model or _only(describe_weights(path)[0], path))
    say(f"{record.path}: {'/'.join(record.models)} to {record.deepest}, {record.size / 1e6:.1f} MB, {record.note}")
    print(f"sha256 {record.sha256}")
    return 0


def _only(models, path):
    if len(models) != 1:
        what = f"fits {' and '.join(models)}" if models else "fits none of the networks"
        raise WeightsError(f"{path} {what} by its names and shapes; name the network with --model")
    return models[0]


def _import(args):
    if args.output:
        _check_target(args.output, args)
    layout = args.layout or (None if args.model else detect_generator_layout(args.source))
    if layout in GENERATOR_LAYOUTS:
        if not args.output:
            raise OutputError("a generator has no name of its own; name the file to write with --output")
        params = import_generator(args.source, layout)
        target, what = Path(args.output), f"generator, kind {check_generator(params, args.source).name}"
    else:
        params = import_weights(args.source, args.model, args.layout)
        models, deepest = fitting_models(params)
        model = args.model or _only(models, args.source)
        target = Path(args.output) if args.output else Path(args.models_dir or cache_folder()) / (model + SUFFIX)
        what = f"{model} to {deepest}"
        _check_target(target, args)
    save_weights(target, params)
    say(f"{target}: {what}")
    return 0


def _check_target(target, args):
    if os.path.exists(target) and not args.replace:
        raise OutputError(f"{target} is already there; give another --output, or --replace to overwrite it")
    # Whoever says --replace knows what is there.
    check_outputs([Output(target, "weights", lambda head: True)], [args.source])
