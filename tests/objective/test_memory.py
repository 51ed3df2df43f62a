"""Amounts of memory: what is read, and what is estimated against what a process really took."""

import subprocess
import sys
from pathlib import Path

import pytest

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.networks import vgg
from neural_style.networks.graph import Graph
from neural_style.objective import memory
from neural_style.objective.representations import STYLE_STATISTICS
from neural_style.objective.terms import Term
from neural_style.objective.tiling import cut, loss_parts
from neural_style.weights.lookup import find_weights
from neural_style.weights.params_file import read_index

LOWRANK = vgg.ARCHITECTURES["vgg16-lowrank"].fitted(read_index(find_weights("vgg16-lowrank")))
TERMS = [Term("style", f"relu{block}_1") for block in range(1, 6)] + [Term("content", "relu4_2")]
LAYERS = [term.layer for term in TERMS]
MB = 2**20


@pytest.fixture(scope="module")
def parameters():
    return {name: mx.nd.empty(shape) for name, shape in LOWRANK.parameter_shapes(LAYERS).items()}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("4 gb", 4 * 10**9),
        ("512MiB", 512 * 2**20),
        ("1.5g", 1500 * 10**6),
        (".5Ti", 2**39),
        ("64k", 64000),
        ("123", 123),
        ("123B", 123),
    ],
)
def test_sizes(text, size):
    assert memory.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "4XB", "1e9", "four", "0", "0.1", "4G B", "1..5g", "4GBs", "inf", "४GB"]
)
def test_sizes_that_make_no_sense(text):
    with pytest.raises(SettingsError, match="is no amount of memory; write it like 4GB"):
        memory.parse_size(text)


@pytest.mark.parametrize(("size", "text"), [(2.44e9, "2.4 GB"), (310.4e6, "310 MB")])
def test_sizes_in_messages(size, text):
    assert memory.format_size(size) == text


# What is needed.


@pytest.mark.parametrize(("size", "tile_size"), [((300, 420), None), ((640, 400), 208), ((700, 900), 448)], ids=str)
@pytest.mark.parametrize("statistic", STYLE_STATISTICS)
def test_the_plan_is_that_of_the_executor_at_full_size(parameters, size, tile_size, statistic):
    terms = [Term(term.kind, term.layer, statistic) for term in TERMS]
    tiles = cut(LOWRANK, LAYERS, size, tile_size or max(size)).tiles
    tile = max(tiles, key=lambda tile: tile.shape(1, 1)[2] * tile.shape(1, 1)[3])
    symbol = loss_parts(Graph(LOWRANK), terms, tile)
    window = (tile.rows.end - tile.rows.begin, tile.columns.end - tile.columns.begin)
    arguments = dict(parameters, data=mx.nd.empty((1, 3) + window))
    arguments[terms[-1].target] = mx.nd.empty(tile.shape(LOWRANK.channels("relu4_2"), 8))
    arguments = {name: arguments[name] for name in symbol.list_arguments()}
    requests = {name: "write" if name == "data" else "null" for name in arguments}
    executor = symbol.bind(mx.cpu(), arguments, {"data": mx.nd.empty((1, 3) + window)}, requests)
    (planned,) = [int(line.split()[1]) for line in executor.debug_str().splitlines() if line.endswith("MB allocated")]
    assert memory.planned_bytes(Graph(LOWRANK), terms, parameters, tile) == pytest.approx(
        planned * MB, rel=0.03, abs=4 * MB
    )


MEASURE = """
import sys
from neural_style.objective import memory
from neural_style._mxnet import mx
from neural_style.networks.graph import Graph
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.objective.terms import Term
from neural_style.objective.tiled_losses import TiledLossExecutor
from neural_style.objective.tiling import read_tiled
from neural_style.weights.lookup import find_weights
from neural_style.weights.params_file import read_index

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

name, statistic, height, width, tile_size = *sys.argv[1:3], *map(int, sys.argv[3:])
terms = [Term("style", f"relu{block}_1", statistic) for block in range(1, 6)] + [Term("content", "relu4_2")]
network = ARCHITECTURES[name]
graph = Graph(network.fitted(read_index(find_weights(name))) if network.low_rank else network)
shapes = graph.network.parameter_shapes([term.layer for term in terms])
mx.random.seed(0)
# He's: values that shrink from layer to layer become denormal, which are slow.
parameters = {n: mx.nd.random.normal(0, (2 / max(1, mx.nd.zeros(s)[0].size)) ** 0.5, s) for n, s in shapes.items()}
image = mx.nd.random.normal(0, 50, (1, 3, height, width))
mx.nd.waitall()
before = status("VmRSS")
targets = read_tiled(graph, terms, parameters, image, mx.cpu(), tile_size)
named = {term.target: target for term, target in zip(terms, targets)}
weigh = lambda losses: [mx.nd.full((1,), 1e-9) for _ in losses]
executor = TiledLossExecutor(graph, terms, parameters, named, weigh, image, mx.cpu(), tile_size)
for _ in range(3):
    executor.run()
    mx.nd.waitall()
whole = tile_size >= max(height, width)
print(memory.estimate(graph, terms, parameters, (height, width), None if whole else tile_size))
print(status("VmHWM") - before)
"""


def measure(*arguments):
    """Give estimate and peak in bytes, of a process of its own."""
    command = [sys.executable, "-c", MEASURE, *map(str, arguments)]
    root = Path(__file__).resolve().parents[2]
    answer = subprocess.check_output(command, cwd=str(root), universal_newlines=True)
    return tuple(map(int, answer.split()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "arguments",
    [("gram", 400, 600, 600), ("gram", 480, 720, 160), ("moments", 480, 720, 160)],
    ids=["gram-whole", "gram-tiles", "moments-tiles"],
)
def test_the_estimate_is_what_a_process_takes(arguments):
    # Nine executors that did not share their memory would take several times as much. The median of three processes,
    # because a peak depends on how soon the threads of the engine and the allocator give back what was needed.
    estimates, peaks = zip(*(measure("vgg16-lowrank", *arguments) for _ in range(3)))
    assert 0.7 * estimates[0] < sorted(peaks)[1] < 1.1 * estimates[0]


# What is chosen.


def test_whole_where_it_fits_else_the_largest_tile(parameters):
    def estimate(tile_size):
        return memory.estimate(Graph(LOWRANK), TERMS, parameters, (683, 1024), tile_size)

    def choose(room):
        return memory.choose_tile(Graph(LOWRANK), TERMS, parameters, (683, 1024), room)

    whole = estimate(None)
    assert choose(whole) is None
    tile_size = choose(whole * 0.5)
    assert tile_size % 16 == 0 and 0 < estimate(tile_size) <= whole * 0.5 < estimate(tile_size + 16)
    assert choose(whole * 0.4) < tile_size


@pytest.mark.parametrize("size", [(256, 384), (400, 600), (683, 1024)])
def test_the_bound_is_above_the_estimate(parameters, size):
    for network in (LOWRANK, vgg.ARCHITECTURES["vgg16"]):
        arguments = {name: mx.nd.empty(shape) for name, shape in network.parameter_shapes(LAYERS).items()}
        arguments = Graph(network), TERMS, arguments, size
        assert memory.estimate(*arguments) < memory.upper_bound(*arguments)


def test_the_bound_knows_what_lies_between_the_parts_of_low_rank(parameters):
    full = Graph(vgg.Architecture("full", LOWRANK.blocks))
    lowrank, other = (memory.upper_bound(graph, TERMS, parameters, (256, 384)) for graph in (Graph(LOWRANK), full))
    positions = {layer: 256 * 384 // LOWRANK.stride(layer) ** 2 for layer in LOWRANK.convolutions}
    reached = LOWRANK.convolutions[1 : LOWRANK.convolutions.index("conv5_1") + 1]
    assert lowrank - other == sum(2 * 4 * sum(LOWRANK.rank(layer)) * positions[layer] for layer in reached)


def test_what_the_caller_holds_counts(parameters):
    arguments = (Graph(LOWRANK), TERMS, parameters, (683, 1024))
    more = memory.estimate(*arguments, arrays=5) - memory.estimate(*arguments)
    assert more == 5 * 683 * 1024 * 3 * 4


def test_too_little_for_any_tile(parameters):
    with pytest.raises(SettingsError) as error:
        memory.choose_tile(Graph(LOWRANK), TERMS, parameters, (2731, 4096), 50 * 10**6)
    message = str(error.value)
    assert "4096 x 2731 pixels needs at least" in message and "50 MB may be used" in message
    assert "`memory`" in message and "`max_long_edge`" in message and "\n" not in message
