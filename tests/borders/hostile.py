"""Files and commands that come from somebody careless or hostile, by the kind of border that they try.

Every entry of `CASES` is a command that must end in one line on the standard error with exit code 1 (2 where the words
themselves make no sense), within seconds, with every file in its folder as it was.
"""

import io
import json
import os
import struct
import zipfile
from dataclasses import replace
from typing import Callable, NamedTuple

import numpy as np

STYLIZE = ["content.png", "style.png", "--gpu", "-1", "--max-long-edge", "40", "--max-num-epochs", "2"]
STYLIZE += ["--pyramid", "", "--weights", "w.params", "-o", "o.png"]


class Case(NamedTuple):
    """A command: the border it tries, a name, the words, what its line says, and what to put into its folder first."""

    border: int
    name: str
    argv: list
    says: str
    prepare: Callable = lambda: None
    code: int = 1


def make_world():
    """Put into the present folder what the commands name: two images, weights, a checkpoint, an external network."""
    from neural_style._mxnet import mx
    from neural_style.cli.main import main
    from neural_style.images.saving import save_image
    from neural_style.networks.vgg import ARCHITECTURES
    from neural_style.weights.params_file import save_weights

    random = np.random.RandomState(0)
    for name, size in (("content.png", (32, 40)), ("style.png", (36, 24))):
        save_image(name, random.randint(0, 256, size + (3,)).astype("uint8"))
    network = replace(ARCHITECTURES["vgg16-lowrank"], ranks=((4, 6),) * 12)
    save_weights("w.params", draw(network.parameter_shapes(["relu5_3"]), random))
    assert main([*STYLIZE, "-o", "made.png", "--checkpoint", "run.npz", "--checkpoint-every", "1", "--quiet"]) == 0
    x = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=4, kernel=(3, 3), pad=(1, 1), name="c1")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="b1"), act_type="relu", name="r1")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg", name="p1")
    x = mx.sym.Activation(mx.sym.Convolution(x, num_filter=5, kernel=(3, 3), name="c2"), act_type="relu", name="r2")
    arguments, _, states = x.infer_shape(data=(1, 3, 32, 32))
    names = [dict(zip(x.list_arguments(), arguments)), dict(zip(x.list_auxiliary_states(), states))]
    del names[0]["data"]
    mx.model.save_checkpoint("net", 0, x, *({k: mx.nd.array(v) for k, v in draw(n, random).items()} for n in names))
    with open("notes.txt", "w") as file:
        file.write("to be kept\n")
    with open("package.json", "w") as file:
        file.write('{"name": "precious"}\n')
    for name in ("content", "style"):
        os.symlink(f"{name}.png", f"link-to-{name}.png")
        os.link(f"{name}.png", f"other-{name}.png")
    os.mkfifo("pipe")


def draw(shapes, random):
    """Return small random parameters of some shapes."""
    return {name: (0.05 * random.randn(*shape)).astype("float32") for name, shape in shapes.items()}


# ---- what is put into the folder


def postscript():
    """An image whose reader is a language: a program beside it shows whether anything runs."""
    with open("eps.jpg", "w") as file:
        file.write("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(ran) print\nshowpage\n%%EOF\n")


def write(name, data):
    """Return what writes a file."""

    def prepare():
        with open(name, "wb") as file:
            file.write(data() if callable(data) else data)

    return prepare


def checkpoint(**changes):
    """Return what writes a checkpoint with other values in its record, by path with dots, or other arrays."""

    def prepare():
        with np.load("run.npz") as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(arrays["record"].tobytes())
        for path, value in changes.items():
            if path in arrays:
                arrays[path] = value
                continue
            place, *keys = record, *(int(key) if key.isdecimal() else key for key in path.split("."))
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = value
        arrays["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
        np.savez("bad.npz", **arrays)

    return prepare


def archive(header=None, data=b"", **settings):
    """Return the bytes of an archive with one array whose header is any text."""
    if header is not None:
        data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + data
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", settings.pop("compression", zipfile.ZIP_STORED)) as made:
        made.writestr("record.npy", data)
        for name in settings.pop("more", ()):
            made.writestr(name, data)
    return file.getvalue()


def symbol(change):
    """Return what writes an external network whose symbol somebody has changed."""

    def prepare():
        with open("net-symbol.json") as file:
            graph = json.load(file)
        changed = change(graph)
        with open("bad-symbol.json", "w") as file:
            file.write(changed if isinstance(changed, str) else json.dumps(graph))

    return prepare


def put(*path, to):
    """Return what changes one value of a symbol."""

    def change(graph):
        for key in path[:-1]:
            graph = graph[key]
        graph[path[-1]] = to

    return change


def keras(fill):
    """Return what writes an HDF5 file."""

    def prepare():
        import h5py

        with h5py.File("bad.h5", "w") as file:
            fill(file)

    return prepare


def external_storage(target):
    """Return what makes an HDF5 dataset lie in another file."""

    def fill(file):
        import h5py

        path = os.path.abspath(target).encode()
        kind, space, plan = h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((64,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_external(path, 0, 256)
        group = file.create_group("block1_conv1")
        h5py.h5d.create(group.id, b"bias", kind, space, plan)

    return fill


def virtual(file):
    """Make an HDF5 dataset a window into another file."""
    import h5py

    layout = h5py.VirtualLayout((64,), "f4")
    layout[:] = h5py.VirtualSource(os.path.abspath("w.params"), "x", (64,))
    file.create_virtual_dataset("block1_conv1/bias", layout)


def twice(file):
    """Make two datasets of one convolution."""
    for place in ("a/block1_conv1/kernel", "b/block1_conv1/kernel"):
        file[place] = np.ones((3, 3, 3, 64), "f")


def gluon_twice():
    """Write the parameters of a convolution under both names that Gluon has for it."""
    from neural_style._mxnet import mx

    names = ("features.0.weight", "vgg0_conv0_weight", "features.0.bias")
    mx.nd.save("bad.params", {name: mx.nd.ones((64, 3, 3, 3) if "weight" in name else (64,)) for name in names})


def torch_twice():
    """Write the parameters of a convolution under two prefixes."""
    import torch

    torch.save({f"{m}features.0.weight": torch.ones(64, 3, 3, 3) for m in ("", "module.")}, "bad.pth")


def sparse_params():
    """Write the header of a list of four thousand million arrays, and a hole of that size."""
    with open("bad.params", "wb") as file:
        file.write(struct.pack("<QQQ", 0x112, 0, 2**32))
        file.truncate(2**36)


def matlab(place, value):
    """Return the bytes of a MATLAB file with another 32-bit number at a place."""

    def data():
        from scipy.io import savemat

        file, cells = io.BytesIO(), np.empty((1, 2), object)
        cells[0, 0], cells[0, 1] = np.arange(3.0), "text"
        savemat(file, {"layers": cells})
        made = bytearray(file.getvalue())
        made[place : place + 4] = struct.pack("<I", value)
        return bytes(made)

    return data


# ---- the commands

IMPORT = ["weights", "import", "--output", "out.params"]
EXTERNAL = ["--model", "bad", "--content-layers", "r2", "--style-layers", "r1", "--style-layer-weights", "1"]
EXTERNAL += ["--weights", "net-0000.params"]
KEEP = ["--checkpoint-every", "1", "--checkpoint"]
LONG = "x" * 300
BEYOND = "as every float32|it must be|must stay below|edge of more than"


def stylize(*more):
    return [*STYLIZE, *more]


ARCHIVES = {
    "an expression": archive("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "(" * 500),
    "deep": archive("-" * 20000 + "1"),
    "a string that does not end": archive("{'descr': '''"),
    "2^60 numbers": archive("{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }\n"),
    "objects": archive("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"cos\nsystem\n(S'x'\ntR."),
    "a number of 3 bytes": archive("{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }\n", b"123"),
    "packed": archive(data=bytes(10**6), compression=zipfile.ZIP_DEFLATED),
    "packed by LZMA": archive(data=bytes(10**6), compression=zipfile.ZIP_LZMA),
    "no array": archive(data=b"text", more=["evil.py"]),
    "encrypted": archive(data=b"x" * 50).replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"),
    "of a later version": archive(data=b"x" * 50).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
}

CASES = [
    Case(1, "EPS named .jpg", ["eps.jpg", *stylize()[1:]], "not an image of a known format", postscript),
    Case(1, "EPS named .jpg, shown", ["show", "eps.jpg"], "not an image of a known format", postscript),
    Case(2, "checkpoint over weights", stylize(*KEEP, "w.params"), "another file of this run"),
    Case(2, "trace over weights", stylize("--trace", "w.params"), "another file of this run"),
    Case(2, "report over the content", stylize("--report", "content.png"), "another file of this run"),
    Case(2, "checkpoint over a link to the style", stylize(*KEEP, "link-to-style.png"), "another file of this"),
    Case(2, "checkpoint over a hard link", stylize(*KEEP, "other-style.png"), "another file of this run"),
    Case(2, "result over a link to the content", stylize("-o", "link-to-content.png"), "would be overwritten"),
    Case(2, "result over a hard link", stylize("-o", "other-content.png"), "would be overwritten"),
    Case(2, "checkpoint over notes", stylize(*KEEP, "notes.txt"), "is no checkpoint of this program"),
    Case(2, "checkpoint over an external network", stylize(*KEEP, "net-0000.params"), "is no checkpoint of"),
    Case(2, "trace over JSON of others", stylize("--trace", "package.json"), "is no trace of this program"),
    Case(2, "report over notes", stylize("--report", "notes.txt"), "is no report of this program"),
    Case(2, "result over text", stylize("-o", "text.png"), "is no result of this program", write("text.png", b"text")),
    Case(2, "checkpoint and trace", stylize("--checkpoint", "n", "--trace", "n"), "another file of this run has"),
    Case(2, "trace over the checkpoint", ["--resume", "run.npz", "--trace", "run.npz"], "another file of this run has"),
    Case(
        2,
        "compression over its weights",
        ["compress", "--weights", "w.params", "--images", ".", "--output", "link.params"],
        "does not hold the weights|another file",
        lambda: os.symlink("w.params", "link.params"),
    ),
    Case(
        2, "import over its source", ["weights", "import", "w.params", "--output", "w.params", "--replace"], "another"
    ),
    Case(
        2, "comparison over an image", ["compare", "content.png", "style.png", "--report", "style.png"], "another file"
    ),
    Case(
        4,
        "image of the wrong size",
        ["--resume", "bad.npz"],
        "40 x 8 pixels",
        checkpoint(canvas=np.ones((1, 3, 8, 40), "f")),
    ),
    Case(4, "level -1", ["--resume", "bad.npz"], "its level is -1", checkpoint(level=-1)),
    Case(4, "tile size true", ["--resume", "bad.npz"], "its tile size is True", checkpoint(tile_size=True)),
    Case(4, "tile size 10^30", ["--resume", "bad.npz"], "its tile size is 1000", checkpoint(tile_size=10**30)),
    Case(4, "10^30 evaluations", ["--resume", "bad.npz"], "damaged", checkpoint(**{"history.0.evaluations": 10**30})),
    Case(
        4,
        "change is not a number",
        ["--resume", "bad.npz"],
        "damaged",
        checkpoint(**{"history.0.relative_change": float("nan")}),
    ),
    Case(4, "10^400 steps", ["--resume", "bad.npz"], "damaged", checkpoint(**{"job.settings.max_steps": 10**400})),
    Case(4, "seed beyond MXNet's", ["--resume", "bad.npz"], "`?--seed`? is", checkpoint(**{"job.seed": 2**32})),
    Case(5, "HDF5 in another file", [*IMPORT, "bad.h5"], "lies in another file", keras(external_storage("notes.txt"))),
    Case(5, "HDF5 in a pipe", [*IMPORT, "bad.h5"], "lies in another file", keras(external_storage("pipe"))),
    Case(5, "HDF5 with a window", [*IMPORT, "bad.h5"], "lies in another file", keras(virtual)),
    Case(5, "HDF5 with a name twice", [*IMPORT, "bad.h5"], "twice", keras(twice)),
    Case(5, "Gluon with a name twice", [*IMPORT, "bad.params"], "twice", gluon_twice),
    Case(5, "torch with a name twice", [*IMPORT, "bad.pth", "--layout", "torchvision"], "twice", torch_twice),
    Case(6, "_Native", stylize(*EXTERNAL), "operator _Native", symbol(put("nodes", 3, "op", to="_Native"))),
    Case(6, "_NDArray", stylize(*EXTERNAL), "operator _NDArray", symbol(put("nodes", 3, "op", to="_NDArray"))),
    Case(6, "Custom", stylize(*EXTERNAL), "operator Custom", symbol(put("nodes", 3, "op", to="Custom"))),
    Case(6, "head of no node", stylize(*EXTERNAL), "refers to output 0", symbol(put("heads", to=[[10**6, 0, 0]]))),
    Case(
        6,
        "head of no output",
        stylize(*EXTERNAL),
        "refers to output 1000009",
        symbol(put("heads", to=[[3, 10**6 + 9, 0]])),
    ),
    Case(
        6,
        "input of no node",
        stylize(*EXTERNAL),
        "refers to output",
        symbol(put("nodes", 3, "inputs", 1, to=[99, 0, 0])),
    ),
    Case(
        6, "input of itself", stylize(*EXTERNAL), "refers to output", symbol(put("nodes", 3, "inputs", 1, to=[3, 0, 0]))
    ),
    Case(6, "argument of no node", stylize(*EXTERNAL), "list of arguments", symbol(put("arg_nodes", to=[10**6]))),
    Case(
        6, "stride 0", stylize(*EXTERNAL), "must be 1 or more", symbol(put("nodes", 3, "attrs", "kernel", to="(0, 0)"))
    ),
    Case(7, "MATLAB of no type", [*IMPORT, "bad.mat"], "cannot be read", write("bad.mat", matlab(128, 0xFFFFFFFF))),
    Case(7, "MATLAB of 2 GB", [*IMPORT, "bad.mat"], "bad.mat", write("bad.mat", matlab(132, 0x7FFFFFFF))),
    Case(7, "MATLAB that crashes SciPy", [*IMPORT, "bad.mat"], "bad.mat", write("bad.mat", matlab(144, 6))),
    Case(7, "MATLAB that crashes it later", [*IMPORT, "bad.mat"], "bad.mat", write("bad.mat", matlab(228, 1))),
    Case(7, ".params with a hole", [*IMPORT, "bad.params"], "more than|damaged", sparse_params),
    Case(7, ".params with a hole, verified", ["weights", "verify", "bad.params"], "more than|damaged", sparse_params),
    Case(
        8, "seed 2^32 + 5", stylize("--seed", str(2**32 + 5)), "--seed is 4294967301; it must be from 0 to 4294967295"
    ),
    Case(8, "seed -1", stylize("--seed", "-1"), "--seed is -1"),
    Case(8, "seed of the demo", ["demo", "--seed", "-1", "--gpu", "-1"], "--seed is -1"),
    *(
        Case(9, f"too long a name for {words[-1]}", [*words, LONG], "[Tt]oo long|not exist|no such|no weights")
        for words in (
            [*stylize(), "--weights"],
            [*stylize(), "--models-dir", "none", "--weights"],
            [*stylize(), "--checkpoint"],
            [*stylize(), "--trace"],
            [*stylize(), "--init"],
            ["--resume"],
            ["show"],
            ["weights", "verify"],
            [*IMPORT],
            ["weights", "import", "w.params", "--output"],
        )
    ),
    Case(9, "too long a name of a result", stylize("-o", LONG + ".png"), "choose a shorter name"),
    Case(9, "too long a path", ["a/" * 3000 + "x.png", *stylize()[1:]], "no such file|too long"),
    Case(10, "import of a pipe", [*IMPORT, "pipe"], "a device or pipe"),
    Case(10, "import of a device", [*IMPORT, "/dev/zero"], "a device or pipe"),
    Case(10, "import of a folder", [*IMPORT, "."], "directory"),
    Case(10, "import of a pipe, told its layout", [*IMPORT, "pipe", "--layout", "keras"], "a device or pipe"),
    Case(10, "verification of a pipe", ["weights", "verify", "./pipe"], "pipe"),
    Case(10, "weights that are a device", stylize("--weights", "/dev/zero"), "/dev/zero"),
    Case(10, "resuming a pipe", ["--resume", "pipe"], "a device or pipe"),
    Case(10, "resuming a device", ["--resume", "/dev/zero"], "a device or pipe"),
    Case(
        10,
        "symbol in a pipe",
        stylize(*EXTERNAL),
        "invalid choice|device or pipe",
        lambda: os.mkfifo("bad-symbol.json"),
        2,
    ),
    Case(10, "content in a pipe", ["pipe", *stylize()[1:]], "is a device or pipe"),
    *(
        Case(
            11,
            " ".join(words)[:40],
            stylize("--recipe", "gatys-2015" if "noise" in words[0] else "mxnet-0.7", *words),
            BEYOND,
        )
        for words in (
            ["--lr", "1e39"],
            ["--lr", "1e-46"],
            ["--weight-decay", "1e39"],
            ["--weight-decay", "1e-300"],
            ["--noise-range", "1e39"],
            ["--noise-range", "3e38", "--noise-center", "3e38"],
            ["--noise-center=-1e39"],
            ["--optimizer", "adam", "--epsilon", "1e-300"],
            ["--style-weight", "1e-300"],
            ["--content-weight", "1e300"],
            ["--tv-weight", "1e39"],
            ["--white", "1e39"],
            ["--style-layer-weights", "1e39"],
            ["--max-long-edge", "30000"],
            ["--max-long-edge", str(10**20)],
            ["--max-num-epochs", str(10**400)],
            ["--style-scale", "1e30"],
            ["--tile-size", str(10**20)],
            ["--checkpoint-every", str(10**20)],
            ["--gpu", str(2**40)],
        )
    ),
    Case(11, "an endless amount of memory", stylize("--memory", "9" * 400), "no amount of memory"),
    Case(
        11,
        "demo of one pixel",
        ["demo", "--max-long-edge", "1", "--gpu", "-1", "--output-dir", "demo"],
        "too small|1 or more|least",
    ),
    Case(
        11,
        "settings that are not numbers",
        ["--resume", "bad.npz"],
        "damaged",
        checkpoint(**{"job.settings.learning_rate": float("nan")}),
    ),
    Case(
        11, "settings that are true", ["--resume", "bad.npz"], "damaged", checkpoint(**{"job.settings.stop_eps": True})
    ),
    *(
        Case(12, f"archive: {name}", ["--resume", "bad.npz"], "damaged or cut short", write("bad.npz", data))
        for name, data in ARCHIVES.items()
    ),
    Case(12, "symbol that is not JSON", stylize(*EXTERNAL), "is not a symbol", symbol(lambda graph: "{")),
    Case(12, "symbol that is deep", stylize(*EXTERNAL), "is not a symbol", symbol(lambda graph: "[" * 100000)),
    Case(12, "symbol of no nodes", stylize(*EXTERNAL), "is not a symbol", symbol(lambda graph: "{}")),
    Case(
        12,
        "symbol with other shapes",
        stylize(*EXTERNAL),
        "c1_weight has shape",
        symbol(put("nodes", 3, "attrs", "num_filter", to="7")),
    ),
    Case(
        12,
        "HDF5 of text",
        [*IMPORT, "bad.h5"],
        "bad.h5",
        keras(lambda file: file.update({"block1_conv1/bias": "text"})),
    ),
    Case(
        12,
        "HDF5 of 10^18 numbers",
        [*IMPORT, "bad.h5"],
        "bad.h5",
        keras(lambda file: file.create_dataset("block1_conv1/bias", (10**18,), "f4", chunks=(1000,))),
    ),
]
