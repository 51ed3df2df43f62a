"""The command line: which command runs, and how the program ends.

``neural-style PHOTO PAINTING`` stylises a photograph, ``neural-style`` with the flags of the original programs does so
as they did, and ``neural-style COMMAND`` does the rest.
Nothing here imports MXNet before the arguments are known to make sense.
"""

import importlib
import os
import sys
from collections import OrderedDict

from .. import __version__
from ..errors import NeuralStyleError
from . import original
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, logging_to_stderr
from .flags import make_parser

_STYLIZE = "stylize"

# What each command does; it is in the module of its name, which is imported when the command is given.
_COMMANDS = OrderedDict(
    [
        (_STYLIZE, "repaint a photograph in the style of a painting, with the recommended settings"),
        ("demo", "repaint a photograph of scikit-image's in the style of a painting of this program's own"),
        ("recipes", "list the recipes, or every setting of one with its source"),
        ("compare", "tell how near two pictures are, or how near ours is to the original program's published one"),
        ("show", "tell how a picture was made, as a command line that makes it again"),
        ("weights", "list, fetch, verify and import network parameters"),
        ("compress", "make a small, fast network from the weights of a full VGG"),
    ]
)


def _make_main_parser():
    parser = make_parser(
        "Repaint a photograph in the style of a picture (Gatys, Ecker & Bethge 2015), with MXNet.",
        prog="neural-style",
        usage="%(prog)s PHOTO PAINTING [flags]\n       %(prog)s COMMAND [flags]\n       %(prog)s [flags]",
        epilog="commands: "
        + "; ".join(f"{name}: {what}" for name, what in _COMMANDS.items())
        + ". 'neural-style COMMAND --help' tells more.",
    )
    parser.add_argument("--version", action="version", version=f"neural-style {__version__}")
    original.add_arguments(parser)
    return parser


def _make_command_parser(name):
    parser = make_parser(_COMMANDS[name], prog=f"neural-style {name}")
    parser.set_defaults(log_level="info")
    importlib.import_module(f".{name}", __package__).add_arguments(parser)
    return parser


def _parse(argv):
    # Not argparse's subparsers: with them a mistyped flag's value is taken for an unknown command.
    if not argv or argv[0].startswith("-"):
        return _make_main_parser().parse_args(argv)
    if argv[0] in _COMMANDS:
        return _make_command_parser(argv[0]).parse_args(argv[1:])
    if os.path.exists(argv[0]):
        return _make_command_parser(_STYLIZE).parse_args(argv)
    return _make_main_parser().error(
        f"unknown command '{argv[0]}'; choose from {', '.join(_COMMANDS)}, or name an image that exists"
    )


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; the process's own if not given.

    Returns
    -------
    int
        0 for success, 1 for an expected failure, of which one line on stderr tells, 130 after Ctrl-C or SIGTERM.

    Raises
    ------
    SystemExit
        With code 2 for arguments that cannot be understood, with 0 after ``--help`` and ``--version``.
    """
    args = _parse(sys.argv[1:] if argv is None else list(argv))
    with logging_to_stderr(args.log_level):
        try:
            return args.run(args)
        except NeuralStyleError as error:
            print(f"neural-style: error: {error}", file=sys.stderr)
            return EXIT_FAILURE
        except KeyboardInterrupt:
            print("neural-style: interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
