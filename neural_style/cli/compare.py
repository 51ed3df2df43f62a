"""``neural-style compare``: how similar two images are, and how close ours is to the published result."""

import json
from collections import OrderedDict

from ..errors import ImageError, SettingsError
from ..files import Output, check_outputs
from ..networks.vgg import STAND_INS
from ..recipes.presets import get_recipe
from ..weights.catalogue import KNOWN_FILES, digest, git_blob_id
from ..weights.downloads import fetch
from ..weights.lookup import find_network
from .console import run_visibly, say

SCHEMA, VERSION = "neural-style/comparison", 1

# What the originals' authors published: two inputs, and the result of the early program with its defaults.
_ORIGINAL_RECIPE = "mxnet-0.7"
_PUBLISHED = OrderedDict(content="IMG_4343.jpg", style="starry_night.jpg", published="4343_starry_night.jpg")

_JUDGE = "vgg19"


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    recipe = get_recipe(_ORIGINAL_RECIPE)
    parser.usage = (
        "%(prog)s [flags] A B\n"
        "       %(prog)s [flags] --content IMAGE --style IMAGE A B\n"
        "       %(prog)s [flags] --original"
    )
    parser.epilog = (
        "PSNR and SSIM compare pixels; the colour histogram distance, chi-square over CIELAB, goes from 0 to 1. "
        "With content and style a network judges each image: style is the mean over relu1_1, relu2_1, relu3_1 of "
        "|G - Gs|^2 / |Gs|^2, content is |F - Fc|^2 / |Fc|^2 at relu3_3. Lower is closer."
    )
    parser.add_argument("images", nargs="*", metavar="A B", help="two images; B is brought to the size of A")
    parser.add_argument("--content", metavar="IMAGE", help="the content of both")
    parser.add_argument("--style", metavar="IMAGE", help="the style of both")
    parser.add_argument(
        "--judge",
        metavar="FILE",
        help="weights of the network that judges, at least up to conv3_3 "
        f"(default: {_JUDGE}, or {STAND_INS[_JUDGE]} where its weights are not found)",
    )
    parser.add_argument("--models-dir", metavar="DIR", help="folder where weights are looked for first")
    parser.add_argument(
        "--gpu", type=int, metavar="N", help="GPU to compute on, -1 for the CPU (default: GPU 0 if it can be used)"
    )
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="also write an HTML page with both images and maps of their differences (needs the extra 'report')",
    )
    original = parser.add_argument_group("the original program's published result")
    original.add_argument(
        "--original",
        action="store_true",
        help=f"make the published image again, by recipe {_ORIGINAL_RECIPE}, and compare; the published files are "
        "fetched where no flag names them",
    )
    original.add_argument("--published", metavar="IMAGE", help="the published result, A in the comparison")
    original.add_argument(
        "--output", metavar="FILE", default="output/original.png", help="our result, B (default: %(default)s)"
    )
    original.add_argument(
        "--weights", metavar="FILE", help="parameters of the network that paints (default: GPU 0 if it can be used)"
    )
    original.add_argument(
        "--max-long-edge", type=int, default=recipe.size.max_long_edge, metavar="N", help="(default: %(default)s)"
    )
    original.add_argument(
        "--max-num-epochs", type=int, default=recipe.stopping.max_steps, metavar="N", help="(default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(args):
    _check(args)
    notes = []
    if args.original:
        notes, code = _make_original(args)
        if code:
            return code
    record = _compare(args, *args.images, notes)
    for line in json.dumps(record, indent=2).splitlines() if args.json else _describe(record):
        say(line)
    return 0


def _check(args):
    if args.original and args.images:
        raise SettingsError("--original compares the published image with ours; leave out the two images")
    if not args.original:
        if len(args.images) != 2:
            raise SettingsError(f"two images are compared, not {len(args.images)}; give A and B, or --original")
        if (args.content is None) != (args.style is None):
            given, missing = ("--content", "--style") if args.content else ("--style", "--content")
            raise SettingsError(f"{given} is of no use without {missing}; give both or neither")
        if args.published or args.weights:
            flag = "--published" if args.published else "--weights"
            raise SettingsError(f"{flag} goes with --original; leave it out, or add that")
    if args.report:
        from ..reports.pages import is_page, require_packages

        require_packages()
        inputs = args.images + [args.content, args.style, args.published, args.judge, args.weights]
        inputs.append(args.output if args.original else None)
        check_outputs([Output(args.report, "report", is_page)], inputs)


def _make_original(args):
    """Fill in the files that no flag names, and stylise; return notes for the reader and an exit code."""
    recipe = get_recipe(_ORIGINAL_RECIPE).override(
        max_long_edge=args.max_long_edge, max_steps=args.max_num_epochs, save_every=0
    )

    from ..images.reading import read_image
    from ..jobs.job import Job
    from ..jobs.outputs import Outputs
    from ..transfer.compute import Compute
    from ..transfer.inputs import choose_network

    published = recipe.losses.model
    recipe, weights = choose_network(recipe, args.weights, args.models_dir)

    notes = []
    for kind, name in _PUBLISHED.items():
        path = getattr(args, kind)
        if path is None:
            setattr(args, kind, str(fetch(name)))
            continue
        read_image(path)
        if git_blob_id(path) != KNOWN_FILES[name].digest:
            notes.append(f"{path} is not the published {name}")
    used = recipe.losses.model
    if used != published:
        notes.append(f"the published image is of {published}, ours of {used}: another network makes another image")
    args.images = [args.published, args.output]
    outputs = Outputs.beside(args.output)
    outputs.check([args.published], False)
    job = Job(args.content, (args.style,), outputs, recipe, weights=str(weights), compute=Compute(args.gpu))
    return notes, run_visibly(job)


def _compare(args, first, second, notes):
    """Return everything measured about two images as JSON has it, and write it as a page if asked to."""
    # Where the network's weights are missing, that is said before any work.
    judge = find_network(_JUDGE, weights=args.judge, models_dir=args.models_dir) if args.style else None

    from ..images.reading import read_image
    from ..metrics.similarity import compare_images, reconcile
    from ..reports.pages import write_comparison_report

    a, b = read_image(first), read_image(second)
    images = reconcile(a, b)
    try:
        comparison = compare_images(*images)
        distances = _judge(args, judge, images) if judge else []
    except ImageError as error:
        raise ImageError(f"{first}: {error}") from error
    record = OrderedDict(
        schema=SCHEMA,
        version=VERSION,
        a=OrderedDict(file=str(first), size=[a.shape[1], a.shape[0]]),
        b=OrderedDict(file=str(second), size=[b.shape[1], b.shape[0]]),
        psnr=comparison.psnr,
        ssim=comparison.ssim,
        histogram=comparison.histogram,
        judge=None,
        notes=[],
    )
    for side, distance in zip("ab", distances):
        record[side].update(style=distance.style, content=distance.content)
    if judge:
        model, path = judge
        record["judge"] = OrderedDict(
            model=model, file=str(path), sha256=digest(path), content=str(args.content), style=str(args.style)
        )
    record["notes"] = list(notes)
    if a.shape != b.shape:
        record["notes"].append(
            f"{second} is {b.shape[1]} x {b.shape[0]} pixels and was brought to {a.shape[1]} x {a.shape[0]}"
        )
    if args.report:
        write_comparison_report(args.report, record, *images, comparison)
    return record


def _judge(args, judge, images):
    from ..images.reading import read_image
    from ..metrics.perceptual import Judge
    from ..transfer.compute import choose_device

    judge = Judge(*judge, read_image(args.content), read_image(args.style), choose_device(args.gpu))
    return [judge.measure(image) for image in images]


def _describe(record):
    for side in "ab":
        yield f"{side.upper()}: {record[side]['file']}, {record[side]['size'][0]} x {record[side]['size'][1]} pixels"
    psnr = "equal" if record["psnr"] is None else f"{record['psnr']:.2f} dB"
    yield f"{'PSNR':26} {psnr:>10}"
    yield f"{'SSIM':26} {record['ssim']:10.4f}"
    yield f"{'colour histogram distance':26} {record['histogram']:10.4f}"
    if record["judge"]:
        yield f"{'':26} {'A':>10} {'B':>10}"
        for kind in ("style", "content"):
            yield f"{kind + ' distance':26} {record['a'][kind]:10.4f} {record['b'][kind]:10.4f}"
        judge = record["judge"]
        yield f"judged by {judge['model']}, {judge['file']}, SHA-256 {judge['sha256'][:16]}"
    for note in record["notes"]:
        yield f"note: {note}"
