"""Compare networks by the pictures they make, judged by VGG-19's own first three blocks.

    python benchmarks/judge.py --judge VGG19.params --network NAME=FILE --network NAME=FILE --random 0 \
        --pair CONTENT STYLE --pair CONTENT STYLE --output DIR

Every network repaints every pair with the same recipe, steps and seed. The judge then looks at the pictures; what it
measures is defined in `neural_style.metrics.perceptual`. Less is better. A file of full VGG-19 or of vgg19-compact runs
as the recipe says; a narrow teacher (see `neural_style.training.teachers.Teacher`) gets its input convolution folded
away, the spreads of vgg19-compact, and its own maximum pooling. ``--random SEED`` adds a VGG-19 that was never trained
(He et al. 2015).
"""

import argparse
import os
import time

import numpy as np

from neural_style._mxnet import mx
from neural_style.images import reading, saving, sizing, units
from neural_style.metrics.perceptual import Judge
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.recipes.presets import DEFAULT_RECIPE, get_recipe
from neural_style.training.distillation import INPUT_SPREAD, start_params
from neural_style.training.scales import STUDENT, balance, rescale
from neural_style.training.teachers import read_params
from neural_style.transfer.stylize import stylize


def random_vgg19(seed):
    """Draw He's initialisation of VGG-19 up to conv5_1."""
    rng, params = np.random.RandomState(seed), {}
    for name, shape in ARCHITECTURES["vgg19"].parameter_shapes(["relu5_1"]).items():
        scale = np.sqrt(2 / np.prod(shape[1:])) if name.endswith("weight") else 0
        params[name] = mx.nd.array(rng.standard_normal(shape) * scale)
    return params


def load_network(path, samples):
    """Give the recipe's settings for a file, and its parameters."""
    params = read_params(path)
    if "input_weight" in params:
        params = rescale(start_params(path, 0), {"data": INPUT_SPREAD})
        params = balance(params, samples, mx.cpu(), pooling="max")
        return {"model": STUDENT, "pooling": "max"}, {name: mx.nd.array(v) for name, v in params.items()}
    model = STUDENT if params["conv1_1_weight"].shape[0] == 16 else "vgg19"
    return {"model": model}, {name: mx.nd.array(value) for name, value in params.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True, metavar="FILE", help="VGG-19's weights, at least up to conv3_3")
    parser.add_argument("--network", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--random", type=int, metavar="SEED")
    parser.add_argument("--pair", action="append", nargs=2, required=True, metavar=("CONTENT", "STYLE"))
    parser.add_argument("--recipe", default=DEFAULT_RECIPE)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--long-edge", type=int, default=384)
    parser.add_argument("--output", required=True, metavar="DIR", help="where the pictures go")
    args = parser.parse_args()
    os.makedirs(args.output, exist_ok=True)
    recipe = get_recipe(args.recipe).override(
        max_steps=args.steps, max_long_edge=args.long_edge, stop_eps=0.0, save_every=0
    )
    pairs = [[reading.read_image(path) for path in pair] for pair in args.pair]
    sizes = [sizing.long_edge_size(content.shape, args.long_edge) for content, _ in pairs]
    samples = [units.to_network(sizing.resize(p, size)) for pair, size in zip(pairs, sizes) for p in pair]
    networks = [(name,) + load_network(path, samples) for name, path in (one.split("=", 1) for one in args.network)]
    if args.random is not None:
        networks.append((f"random-{args.random}", {"model": "vgg19"}, random_vgg19(args.random)))
    print(f"{'pair':32} {'network':16} {'style':>8} {'content':>8} {'s/step':>7}")
    for number, ((content, style), size) in enumerate(zip(pairs, sizes)):
        name = "_".join(os.path.splitext(os.path.basename(path))[0] for path in args.pair[number])
        judge = Judge("vgg19", args.judge, content, style, mx.cpu())
        for network, settings, params in networks:
            begun = time.time()
            result = stylize(content, style, recipe.override(**settings), weights=params, gpu=-1)
            took = (time.time() - begun) / args.steps
            saving.save_image(os.path.join(args.output, f"{name}_{network}.png"), result.picture)
            found = judge.measure(sizing.resize(result.picture, size))
            print(f"{name:32} {network:16} {found.style:8.4f} {found.content:8.4f} {took:7.3f}", flush=True)


if __name__ == "__main__":
    main()
