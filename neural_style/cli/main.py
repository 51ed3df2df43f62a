"""The command line: which command runs, and how the program ends.

``neural-style PHOTO PAINTING`` stylises a photograph, ``neural-style`` with the flags of the original programs does so
as they did, and ``neural-style COMMAND`` does the rest. Nothing here imports MXNet before the arguments are known to
make sense.
"""

import importlib
import os
import sys

from .. import __version__
from ..errors import NeuralStyleError
from . import original
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, ending_on_signals, logging_to_stderr, say_failure
from .flags import PrintHelp, make_parser

_STYLIZE = "stylize"

# What each command does; it is in the module of its name, which is imported when the command is given.
COMMANDS = {
    _STYLIZE: "repaint a photograph in the style of a painting; PHOTO PAINTING means the same",
    "demo": "repaint a bundled photograph in the style of a bundled painting",
    "batch": "run many jobs: a list, or every content with every style and setting",
    "video": "repaint a video in the style of a painting",
    "recipes": "list the recipes, or every setting of one with its source",
    "compare": "measure how similar two images are, or ours and the original's published one",
    "show": "show how an image or a video was made, as a command line that makes it again",
    "weights": "list, fetch, verify and import network parameters",
    "train": "make a generator, which repaints in one pass, from images",
    "compress": "make a small, fast network from the weights of a full VGG",
}

_USAGE = """%(prog)s PHOTO PAINTING [-o FILE] [flags]
       %(prog)s COMMAND [flags]
       %(prog)s [flags of MXNet's example]
       %(prog)s --resume FILE"""


class _Help(PrintHelp):
    """Prints the help of the program: its commands, then the flags of ``stylize``."""

    @staticmethod
    def shown(parser):
        """Make a parser of the commands and of those flags."""
        shown = make_parser(
            "Repaint a photograph in the style of a painting, with Apache MXNet (Gatys, Ecker & Bethge 2015).",
            prog=parser.prog,
            add_help=False,
        )
        commands = shown.add_argument_group("commands, each with its own --help")
        for name, what in COMMANDS.items():
            commands.add_argument(name, help=what)
        _command_module(_STYLIZE).add_arguments(shown)
        shown.usage = _USAGE
        shown.epilog = (
            "Without PHOTO and PAINTING it is MXNet's example: --content-image, --style-image, --output_dir and so on."
        )
        return shown


def _make_main_parser():
    parser = make_parser(None, prog="neural-style", usage=_USAGE, add_help=False)
    parser.add_argument("-h", "--help", action=_Help)
    parser.add_argument("--version", action="version", version=f"neural-style {__version__}")
    original.add_arguments(parser)
    return parser


def _command_module(name):
    return importlib.import_module(f".{name}", __package__)


def _make_command_parser(name):
    parser = make_parser(COMMANDS[name], prog=f"neural-style {name}")
    parser.set_defaults(log_level="info", quiet=False)
    _command_module(name).add_arguments(parser)
    return parser


def _parse(argv):
    # Not argparse's subparsers: with them a mistyped flag's value is taken for an unknown command.
    if not argv or argv[0].startswith("-") and argv[0] != "-":
        return _make_main_parser().parse_args(argv)
    if argv[0] == _STYLIZE:
        # Intermixed, so that flags may stand before the second image, which not every recipe needs.
        return _make_command_parser(_STYLIZE).parse_intermixed_args(argv[1:])
    if argv[0] in COMMANDS:
        return _make_command_parser(argv[0]).parse_args(argv[1:])
    if argv[0] == "-" or os.path.exists(argv[0]) or os.path.splitext(argv[0])[1]:
        return _make_command_parser(_STYLIZE).parse_intermixed_args(argv)
    return _make_main_parser().error(
        f"unknown command '{argv[0]}'; choose from {', '.join(COMMANDS)}, or name an image"
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
        0 for success, 1 for an expected failure, which one line on stderr explains, 130 after Ctrl-C, SIGTERM or a
        hang-up.

    Raises
    ------
    SystemExit
        With code 2 for arguments that cannot be understood, with 0 after ``--help``, ``--help-settings`` and
        ``--version``.
    """
    try:
        with ending_on_signals():
            args = _parse(sys.argv[1:] if argv is None else list(argv))
            with logging_to_stderr("warning" if args.quiet else args.log_level):
                return args.run(args)
    except NeuralStyleError as error:
        say_failure(str(error))
    except MemoryError:
        say_failure("there is not enough memory for this; choose a smaller `max_long_edge`, or close other programs")
    except BrokenPipeError:
        # Whoever read the output has what it wanted. What is left in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        say_failure(_describe_refusal(error))
    except KeyboardInterrupt:
        print("neural-style: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_FAILURE


def _describe_refusal(error):
    """Say what the system refuses where no part of the program expects it."""
    if error.filename is None and not os.path.exists(os.curdir):
        return "the folder that the program was started in is gone; start it in another one"
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    return f"{where}{error.strerror or error}; check that it is there and who may use it, and the space on its disk"
