"""``neural-style show``: how an image or a video was made, as a command line that makes it again."""

import dataclasses
import json
import os
import shlex
from pathlib import Path

from ..errors import WeightsError
from ..files import sha256
from ..images.frames import CONTAINERS
from ..jobs.job import read_recipe
from ..jobs.provenance import read_record
from ..jobs.video import read_video_record
from ..recipes.presets import DEFAULT_RECIPE, RECOMMENDED_RECIPE
from ..recipes.video import Following
from ..reports.inputs import list_inputs
from ..transfer.compute import Compute
from ..weights.generators import find_generator
from .console import say
from .controls import write_controls
from .flags import flags_of_settings, write_flag, write_flags


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    parser.epilog = (
        "The first line is the command; the others are comments to a shell. A file that has changed since, or is gone, "
        "is named. The result goes to the default output, add --output for another."
    )
    parser.add_argument("image", metavar="IMAGE", help="an image or a video that this program saved")
    parser.add_argument("--json", action="store_true", help="print the whole record as JSON instead")
    parser.set_defaults(run=_run)


def _run(args):
    is_video = os.path.splitext(args.image)[1].lower() in CONTAINERS
    record = read_video_record(args.image) if is_video else read_record(args.image)
    if args.json:
        print(json.dumps(record, indent=2))
        return 0
    recipe, strange = read_recipe(record)
    print(" ".join(map(_quote, _command(record, recipe, write_flags(recipe)))))
    for line in _describe(record, recipe, strange):
        say(f"# {line}")
    return 0


def _quote(word):
    """Quote a word for a shell, so that it can be seen whole and pasted."""
    if word.isprintable():
        return shlex.quote(word)
    # $'...' is of ksh, bash and zsh, and of POSIX since 2024.
    return "$'" + "".join(map(_escape, os.fsencode(word))) + "'"


def _escape(byte):
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\{byte:03o}"


def _command(record, recipe, flags):
    words, controls = ["neural-style"], write_controls(record)
    files = [record["content"]["file"], *(style["file"] for style in record["styles"])]
    # argparse takes a word that begins with a hyphen for a flag
    places = [os.path.join(".", name) if name.startswith("-") else name for name in files]
    usual = RECOMMENDED_RECIPE
    if "video" in record:
        words += ["video", *places, *_write_video_flags(record["video"])]
    elif recipe.name == RECOMMENDED_RECIPE or recipe.feed_forward or controls or len(files) > 2:
        words += ["stylize", *places, *controls]
    else:
        words += write_flag("--content-image", files[0]) + write_flag("--style-image", files[1])
        usual = DEFAULT_RECIPE
    if recipe.name != usual:
        words += write_flag("--recipe", recipe.name)
    if "--model" not in flags and not recipe.feed_forward:
        # Unnamed, the network could be another one where the weights of this are missing.
        words += write_flag("--model", recipe.losses.model)
    words += flags
    if not record["weights"]["found"] and record["weights"]["file"] != recipe.network:
        words += write_flag("--weights", record["weights"]["file"])
    if record["start"]:
        words += write_flag("--init", record["start"]["file"])
    if record["seed"]:
        words += write_flag("--seed", record["seed"])
    options, usual = flags_of_settings(), Compute().settings()
    for name in usual:
        if record["compute"][name] != usual[name]:
            words += write_flag(options[name], record["compute"][name])
    return words


def _write_video_flags(settings):
    usual, words = dataclasses.asdict(Following()), write_flag("--flow", settings["flow"])
    for name, value in usual.items():
        if settings[name] != value:
            words += write_flag(flags_of_settings()[name], settings[name])
    return words


def _describe_end(record):
    if "video" in record:
        return f"{record['frames']} frames"
    steps = "1 step" if record["steps"] == 1 else f"{record['steps']} steps"
    ends = {
        None: f"intermediate, after {steps}",
        "CONVERGED": f"converged after {steps}",
        "STEP_LIMIT": f"{steps}, which was the limit",
        "STALLED": f"{steps}, after which none made the objective smaller",
        "INTERRUPTED": f"interrupted after {steps}",
        "ONE_PASS": "made in one pass",
        "NOT_FINITE": f"the last good image, after {steps}",
    }
    return ends.get(record["stop"], steps)


def _describe(record, recipe, left_out):
    width, height = record["size"]
    yield (
        f"{width} x {height} pixels, {_describe_end(record)}; recipe {record['recipe']}; neural-style "
        + (record["program"])
    )
    for kind, entry in list_inputs(record):
        yield f"{kind} {entry['file']}: {_compare(entry)}"
    model, weights = recipe.network, record["weights"]
    yield f"weights of {model}: {weights['file']}, SHA-256 {weights['sha256']}"
    if record["generator"]:
        yield f"generator of the start {record['generator']['file']}: {_compare(record['generator'])}"
    # In a pyramid the steps are those of all its pictures, and the limit is that of the last.
    if record.get("stop", "") in (None, "INTERRUPTED") and not recipe.feed_forward and not recipe.size.pyramid:
        yield f"--max-num-epochs {record['steps']} ends the run where this image was saved"
    if record["seed"] is None:
        yield "the noise was not seeded, so the command gives another image"
    if record["recipe"] != recipe.name:
        yield f"this program has no recipe {record['recipe']}; the flags give its settings"
    for name, value in left_out.items():
        yield f"the command leaves out a setting that this program does not have: {name} = {json.dumps(value)}"


def _compare(entry):
    try:
        file = find_generator(Path(entry["file"]).stem) if entry.get("found") else entry["file"]
        same = sha256(file) == entry["sha256"]
    except (OSError, WeightsError):
        return f"not found here, SHA-256 {entry['sha256']}"
    return "unchanged" if same else f"has changed, it was SHA-256 {entry['sha256']}"
