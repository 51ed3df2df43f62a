"""Compare the recommended recipe with two other programs' algorithms, given the same time or a multiple of it.

    python benchmarks/peers.py --weights VGG16.params [--judge VGG19.params] --output DIR [--long-edge 512]
        [--factor 1 --factor 3] [--peer NAME] [--judge-only] CONTENT STYLE [CONTENT STYLE ...]

For every pair, this project's command runs in its own process. The time of the whole process, including the start of
Python and the loading of weights, is the reference. Every peer, an algorithm of `peer_algorithms` on full VGG-16, then
gets that time multiplied by each factor, without counting the loading of its weights, on the same number of threads.
Nothing else should run meanwhile.

Two networks measure all images. Style distance is the mean over layers of ‖G − Gs‖² / ‖Gs‖², where G is the Gram matrix
of the activations divided by the number of positions; content distance is ‖F − Fc‖² / ‖Fc‖². Pooling is average. The
image keeps its size; the content is resized to that size, the style to that long edge with its own proportions. Smaller
is closer. VGG-16 (relu1_1, relu2_1, relu3_1, relu4_1, relu5_1; relu4_2) is what the peers optimise, with another
pooling; VGG-19 (relu1_1, relu2_1, relu3_1; relu3_3), of which --judge needs the first three blocks, is optimised by
none of them. The table is Markdown.

The folder of --output contains the images, a sheet of each pair, and ``PAIR.json`` with data on the runs. Existing
results are not computed again, so an interrupted benchmark can be continued; --judge-only computes none. Images are
named after their files, so two pairs must not have the same names.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from peer_algorithms import CONTENT_LAYER, PEERS, STYLE_LAYERS, VGG, to_tensor

from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.images.sizing import resize

ROOT = Path(__file__).resolve().parent.parent

OURS = "this project"

COMMAND = [sys.executable, "-m", "neural_style", "stylize", "{content}", "{style}"]
COMMAND += ["--max-long-edge", "{long_edge}", "--output", "{output}"]


class Judge:
    """Measure style and content distances of images according to a network.

    Parameters
    ----------
    network : VGG
    style_layers : sequence of str
    content_layer : str
    content, style : numpy.ndarray
        uint8 (H, W, 3).
    """

    def __init__(self, network, style_layers, content_layer, content, style):
        self._network, self._layers, self._content_layer = network, tuple(style_layers), content_layer
        self._content, self._style = content, style
        self._wanted = {}

    def measure(self, picture):
        """Return the style and the content distance of an image, uint8 (H, W, 3)."""
        size = picture.shape[:2]
        if size not in self._wanted:
            factor = max(size) / max(self._style.shape[:2])
            style_size = [round(side * factor) for side in self._style.shape[:2]]
            grams, _ = self._look(resize(self._style, style_size))
            _, content = self._look(resize(self._content, size))
            self._wanted[size] = grams, content
        wanted_grams, wanted_content = self._wanted[size]
        grams, content = self._look(picture / 255)
        style = statistics.mean(_relative(gram, wanted) for gram, wanted in zip(grams, wanted_grams))
        return style, _relative(content, wanted_content)

    def _look(self, picture):
        """Return Gram matrices and content activation of an image in [0, 1]."""
        with torch.no_grad():
            image = self._network.prepare(to_tensor((picture * 255).astype(np.float32)))
            seen = self._network.look(image, self._layers + (self._content_layer,), pooling="avg")
        # (1, C, h, w) -> (C, h*w) -> (C, C)
        flat = [seen[layer].flatten(2)[0] for layer in self._layers]
        return [one @ one.T / one.shape[1] for one in flat], seen[self._content_layer]


def _relative(one, wanted):
    return ((one - wanted).square().sum() / wanted.square().sum()).item()


class Pair:
    """A content, a style, and the images made from them, in a folder.

    Parameters
    ----------
    content, style : str
        Paths.
    folder : pathlib.Path
    long_edge : int
        Of the pictures.
    """

    def __init__(self, content, style, folder, long_edge):
        self.paths = Path(content).resolve(), Path(style).resolve()
        self.name = "_".join(path.stem for path in self.paths)
        self.content, self.style = (read_image(path) for path in self.paths)
        self._folder = folder
        self._record = folder / f"{self.name}.json"
        self._known = {"long_edge": long_edge, "runs": {}}
        if self._record.exists():
            self._known = json.loads(self._record.read_text())
            if self._known["long_edge"] != long_edge:
                raise SystemExit(f"{self._record}: long edge {self._known['long_edge']}; choose another --output")

    def path(self, label):
        """Return the file name of an image."""
        return self._folder / f"{self.name}_{label.replace(' ', '_')}.png"

    def find(self, label):
        """Return seconds and steps of a run, or None if its image does not exist."""
        return self._known["runs"].get(label) if self.path(label).exists() else None

    def keep(self, label, seconds, steps):
        """Store seconds and steps of a run whose image has been saved."""
        self._known["runs"][label] = {"seconds": seconds, "steps": steps}
        self._record.write_text(json.dumps(self._known, indent=1) + "\n")


def make_pictures(pair, network, peers, factors, long_edge):
    """Run what is missing of a pair."""
    if not pair.find(OURS):
        names = {"content": pair.paths[0], "style": pair.paths[1], "long_edge": long_edge, "output": pair.path(OURS)}
        begun = time.perf_counter()
        done = subprocess.run(
            [word.format(**names) for word in COMMAND], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        seconds = time.perf_counter() - begun
        if done.returncode:
            raise SystemExit(done.stderr.decode(errors="replace").strip() or f"{COMMAND[0]}: {done.returncode}")
        pair.keep(OURS, seconds, "")
        report(f"{pair.name}: {OURS}, {seconds:.1f} s")
    for factor in factors:
        for peer in peers:
            label = label_of(peer, factor)
            if pair.find(label):
                continue
            made = PEERS[peer](network, pair.content, pair.style, long_edge, factor * pair.find(OURS)["seconds"])
            save_image(pair.path(label), made.picture)
            steps = ", ".join(f"{edge} px: {count}" for edge, count in made.steps.items())
            pair.keep(label, made.seconds, steps)
            report(f"{pair.name}: {label}, {made.seconds:.1f} s, steps at {steps}")


def label_of(peer, factor):
    """Return the name of a peer's run."""
    return f"{peer} x{factor:g}"


def report(line):
    """Print the progress, separately from the table."""
    print(line, file=sys.stderr, flush=True)


def judge_pictures(pair, networks, labels):
    """Return the distances of a pair's existing images, by label, and make a sheet of them."""
    judges = [Judge(*network, pair.content, pair.style) for network in networks]
    found, pictures = {}, [pair.content, pair.style]
    for label in labels:
        if pair.find(label):
            pictures.append(read_image(pair.path(label)))
            found[label] = [distance for judge in judges for distance in judge.measure(pictures[-1])]
    if found:
        save_image(pair.path("sheet"), make_contact_sheet(pictures, ["content", "style", *found]))
    return found


def table_row(cells):
    """Return a row of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, metavar="FILE", help="VGG-16's, up to conv5_1")
    parser.add_argument("--judge", metavar="FILE", help="VGG-19's weights, up to conv3_3")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path)
    parser.add_argument("--long-edge", type=int, default=512, help="in pixels (default: %(default)s)")
    parser.add_argument("--factor", action="append", type=float, metavar="X", help="default: 1, and 3")
    parser.add_argument("--peer", action="append", choices=PEERS, help="default: all")
    parser.add_argument("--judge-only", action="store_true", help="measure existing images, make none")
    parser.add_argument("pictures", nargs="+", metavar="CONTENT STYLE")
    args = parser.parse_args()
    if len(args.pictures) % 2:
        parser.error("every content needs a style")
    factors, peers = args.factor or [1, 3], args.peer or list(PEERS)
    args.output.mkdir(parents=True, exist_ok=True)
    named = zip(args.pictures[::2], args.pictures[1::2])
    pairs = [Pair(content, style, args.output.resolve(), args.long_edge) for content, style in named]
    if len({pair.name for pair in pairs}) < len(pairs):
        parser.error("two pairs have the same names")
    vgg16 = VGG("vgg16", args.weights, STYLE_LAYERS + (CONTENT_LAYER,))
    networks, heads = [(vgg16, STYLE_LAYERS, CONTENT_LAYER)], ["style, VGG-16", "content, VGG-16"]
    if args.judge:
        layers, content_layer = STYLE_LAYERS[:3], "relu3_3"
        networks.append((VGG("vgg19", args.judge, layers + (content_layer,)), layers, content_layer))
        heads += ["style, VGG-19", "content, VGG-19"]
    if not args.judge_only:
        for pair in pairs:
            make_pictures(pair, vgg16, peers, factors, args.long_edge)
    labels = [OURS] + [label_of(peer, factor) for factor in factors for peer in peers]
    found = [judge_pictures(pair, networks, labels) for pair in pairs]
    print(table_row(["pair", "picture", "seconds", *heads, "steps"]))
    print(table_row(["---"] * (4 + len(heads))))
    for pair, distances in zip(pairs, found):
        for label, values in distances.items():
            run = pair.find(label)
            numbers = [f"{run['seconds']:.1f}"] + [f"{value:.4f}" for value in values]
            print(table_row([pair.name, label, *numbers, run["steps"]]))
    for label in labels if len(pairs) > 1 else []:
        values = [distances[label] for distances in found if label in distances]
        if values:
            seconds = statistics.median(pair.find(label)["seconds"] for pair in pairs if pair.find(label))
            numbers = [f"{seconds:.1f}"] + [f"{statistics.median(column):.4f}" for column in zip(*values)]
            print(table_row([f"median of {len(values)}", label, *numbers, ""]))


if __name__ == "__main__":
    main()
