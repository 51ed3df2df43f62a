"""Sound files of every kind that the program reads, made by itself, and ways to damage them; for fuzz.py."""

import io
import json
import random
import struct
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from neural_style._mxnet import mx
from neural_style.cli.main import main
from neural_style.images.saving import save_image
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights.params_file import save_weights

# What code that reads numbers is rarely tried with.
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
VALUES = (None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, 10**400, 1e39, 1e-300, -0.0, float("nan"), float("inf"))
VALUES += (
    "",
    "x" * 5000,
    "\x1b[2J",
    "a\0b",
    "\udcff",
    "\ud800",
    "../../etc/passwd",
    [],
    {},
    [[]],
    {"": {}},
    [1] * 2000,
)

STYLIZE = ["content.png", "style.png", "--gpu", "-1", "--max-long-edge", "40", "--max-num-epochs", "2", "--pyramid", ""]
STYLIZE += ["--weights", "w.params", "--quiet"]


def make_files():
    """Make all files in the present folder; return by reader the names of those that it reads."""
    rng = np.random.RandomState(0)
    for name, size in (("content.png", (32, 40)), ("style.png", (36, 24))):
        save_image(name, rng.randint(0, 256, size + (3,)).astype("uint8"))
    network = replace(ARCHITECTURES["vgg16-lowrank"], ranks=((4, 6),) * 12)
    save_weights("w.params", _draw(network.parameter_shapes(["relu5_3"]), rng))
    assert main([*STYLIZE, "-o", "made.png", "--checkpoint", "run.npz", "--checkpoint-every", "1"]) == 0
    lbfgs = ["--recipe", "gatys-2015", "--max-num-epochs", "3", "-o", "lbfgs.jpg", "--checkpoint", "lbfgs.npz"]
    assert main([*STYLIZE, *lbfgs, "--checkpoint-every", "1"]) == 0
    return {
        "image": [*_images(rng), "made.png", "lbfgs.jpg"],
        "record": ["made.png", "lbfgs.jpg"],
        "params": ["w.params", _gluon(rng)],
        "checkpoint": ["run.npz", "lbfgs.npz"],
        "state": [_state(rng)],
        "symbol": [_symbol(rng)],
        "torch": _torch(rng),
        "torch7": [_torch7()],
        "hdf5": _keras(rng),
        "matlab": _matlab(rng),
    }


def _draw(shapes, rng):
    return {name: (0.05 * rng.randn(*shape)).astype("float32") for name, shape in shapes.items()}


def _images(rng):
    import tifffile
    from PIL import Image, features

    pixels = rng.randint(0, 256, (24, 20, 3)).astype("uint8")
    image, smooth = (
        Image.fromarray(pixels),
        Image.fromarray(np.linspace(0, 255, 1440).reshape(24, 20, 3).astype("uint8")),
    )
    made = {
        "a.jpg": (smooth, {"quality": 90}),
        "progressive.jpg": (smooth, {"progressive": True}),
        "cmyk.jpg": (smooth.convert("CMYK"), {}),
        "a.png": (image, {}),
        "palette.png": (image.quantize(16), {}),
        "alpha.png": (image.convert("RGBA"), {}),
        "a.gif": (image, {}),
        "a.webp": (smooth, {}),
        "lossless.webp": (image, {"lossless": True}),
        "a.bmp": (image, {}),
        "a.ppm": (image, {}),
        "a.tga": (image, {"compression": "tga_rle"}),
        "plain.tif": (image, {}),
        "deflate.tif": (image, {"compression": "tiff_adobe_deflate"}),
        "lzw.tif": (image, {"compression": "tiff_lzw"}),
        "jpeg.tif": (smooth, {"compression": "jpeg"}),
        "group4.tif": (smooth.convert("1"), {"compression": "group4"}),
        "packed.tif": (image, {"compression": "packbits"}),
    }
    if features.check("avif"):
        made["a.avif"] = (smooth, {})
    for name, (one, options) in made.items():
        one.save(name, **options)
    tifffile.imwrite("float.tif", rng.rand(12, 10, 3).astype("f4"), photometric="rgb")
    tifffile.imwrite("wide.tif", rng.randint(0, 2**16, (12, 10, 3)).astype("u2"), photometric="rgb", compression="zlib")
    tifffile.imwrite("big.tif", pixels, photometric="rgb", bigtiff=True, tile=(16, 16))
    return [*made, "float.tif", "wide.tif", "big.tif"]


def _gluon(rng):
    shapes = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}
    mx.nd.save("gluon.params", {name: mx.nd.array(array) for name, array in _draw(shapes, rng).items()})
    return "gluon.params"


def _state(rng):
    arrays = _draw({"now:a": (3, 2), "mean:a": (3, 2), "square:a": (3, 2), "best:a": (3, 2)}, rng)
    np.savez("c.state.npz", settings=np.array(json.dumps({"seed": 0})), number=np.array(3), **arrays)
    return "c.state.npz"


def _symbol(rng):
    def unit(x, name, filters, kernel):
        x = mx.sym.Convolution(x, num_filter=filters, kernel=(kernel, kernel), pad=(kernel // 2,) * 2, name=name)
        return mx.sym.Activation(mx.sym.BatchNorm(x, name=f"{name}_bn"), act_type="relu", name=f"{name}_relu")

    x = mx.sym.Pooling(unit(mx.sym.Variable("data"), "c1", 4, 3), kernel=(2, 2), stride=(2, 2), name="p1")
    left, right = mx.sym.split(unit(x, "c2", 6, 1), num_outputs=2, name="cut")
    x = mx.sym.Concat(left + right, mx.sym.Dropout(left * 0.5), mx.sym.LRN(right, nsize=3), name="mixed")
    x = mx.sym.LeakyReLU(mx.sym.Deconvolution(x, num_filter=3, kernel=(2, 2), name="d"), act_type="leaky", name="l")
    x = mx.sym.Flatten(mx.sym.clip(mx.sym.transpose(x, axes=(0, 1, 3, 2)), 0, 9))
    x = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name="fc"), name="softmax")
    arguments, _, states = x.infer_shape(data=(1, 3, 32, 32))
    shapes = dict(zip(x.list_arguments(), arguments)), dict(zip(x.list_auxiliary_states(), states))
    mx.model.save_checkpoint("net", 0, x, *({k: mx.nd.array(v) for k, v in _draw(s, rng).items()} for s in shapes))
    return "net-symbol.json"


def _torch(rng):
    try:
        import torch
    except ImportError:
        return []
    shapes = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}
    state = {name: torch.tensor(array) for name, array in _draw(shapes, rng).items()}
    torch.save(state, "a.pth")
    torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
    return ["a.pth", "legacy.pth"]


def _keras(rng):
    try:
        import h5py
    except ImportError:
        return []
    arrays = _draw(
        {"block1_conv1/block1_conv1/kernel:0": (3, 3, 3, 64), "block1_conv1/block1_conv1/bias:0": (64,)}, rng
    )
    for name, options in (("a.h5", {}), ("packed.h5", {"compression": "gzip", "chunks": True})):
        with h5py.File(name, "w") as file:
            for place, array in arrays.items():
                file.create_dataset(place, data=array, **options)
    return ["a.h5", "packed.h5"]


def _torch7():
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "independent"))
    import torch7_writer

    torch7_writer.johnson(Path("a.t7"), channels=(2, 2, 2), blocks=1)
    return "a.t7"


def _matlab(rng):
    from scipy.io import savemat

    layer = {"type": "conv", "name": "conv1_1", "weights": np.empty((1, 2), object)}
    layer["weights"][0, 0], layer["weights"][0, 1] = rng.randn(3, 3, 3, 64).astype("f"), rng.randn(1, 64).astype("f")
    cells = np.empty((1, 1), object)
    cells[0, 0] = layer
    for name, packed in (("a.mat", False), ("packed.mat", True)):
        savemat(
            name,
            {"layers": cells, "meta": {"normalization": {"averageImage": np.ones((1, 1, 3))}}},
            do_compression=packed,
        )
    return ["a.mat", "packed.mat"]


# ---- damage


def damage(path, rng):
    """Return the bytes of a damaged copy of a file, and the suffix that it must keep."""
    data = Path(path).read_bytes()
    if path.endswith(".json") and rng.random() < 0.8:
        return _mutate_json(data, rng)
    if path.endswith(".npz") and rng.random() < 0.7:
        return _mutate_archive(path, rng)
    if path in ("made.png", "lbfgs.jpg") and rng.random() < 0.7:
        return _mutate_record(path, rng)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data = rng.choice(_BYTES)(bytearray(data), rng)
    return bytes(data)


def _overwrite(data, rng):
    if data:
        form = rng.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
        value = struct.pack(form, rng.choice(NUMBERS) % 2 ** (8 * struct.calcsize(form)))
        # Most of what is read as a number stands at the beginning.
        place = int(len(data) * rng.random() ** rng.choice((1, 4)))
        data[place : place + len(value)] = value
    return data


def _flip(data, rng):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _cut(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def _remove(data, rng):
    place = rng.randrange(len(data) + 1)
    del data[place : place + rng.choice((1, 2, 4, 100))]
    return data


def _repeat(data, rng):
    place, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 64, 1000))
    data[place:place] = data[place : place + size] * rng.choice((1, 3, 50))
    return data


_BYTES = (_overwrite, _overwrite, _overwrite, _flip, _cut, _remove, _repeat)


def change_value(value, rng):
    """Return JSON's value with something in it changed, moved or gone."""
    places = []

    def walk(inner):
        if isinstance(inner, (dict, list)):
            for key in inner if isinstance(inner, dict) else range(len(inner)):
                places.append((inner, key))
                walk(inner[key])

    value = json.loads(json.dumps(value))
    walk(value)
    for inner, key in rng.sample(places, min(len(places), rng.choice((1, 1, 1, 2, 5)))):
        how = rng.random()
        if how < 0.1 and isinstance(inner, dict):
            inner.pop(key, None)
        elif how < 0.3 and places:
            other, where = rng.choice(places)
            there = where in other if isinstance(other, dict) else where < len(other)
            inner[key] = json.loads(json.dumps(other[where])) if there else None
        elif how < 0.5 and isinstance(inner[key], (int, float)) and not isinstance(inner[key], bool):
            inner[key] = rng.choice((inner[key] + 1, -inner[key], inner[key] * 1000, rng.choice(NUMBERS)))
        else:
            inner[key] = rng.choice(VALUES)
    return value


def _mutate_json(data, rng):
    return json.dumps(change_value(json.loads(data), rng)).encode("utf-8", "surrogatepass")


def _mutate_archive(path, rng):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    name = rng.choice(list(arrays))
    if name in ("record", "settings"):
        text = arrays[name].tobytes() if name == "record" else str(arrays[name]).encode()
        changed = _mutate_json(text, rng)
        arrays[name] = np.frombuffer(changed, "u1") if name == "record" else np.array(changed.decode("latin-1"))
    else:
        changes = (
            lambda a: np.full_like(a, np.nan if a.dtype.kind == "f" else 1),
            lambda a: a.astype(rng.choice(("f8", "i8", "u1", "?", "U3", "c16", "M8[s]")), casting="unsafe"),
            lambda a: a.ravel()[: rng.randrange(a.size + 1)],
            lambda a: np.asfortranarray(a),
            lambda a: np.full_like(a, rng.choice((0, 1, 100)))[np.newaxis],
            lambda a: a.reshape(-1, *a.shape[:0]),
        )
        arrays[name] = rng.choice(changes)(arrays[name])
    if rng.random() < 0.2:
        del arrays[rng.choice(list(arrays))]
    file = io.BytesIO()
    rng.choice((np.savez, np.savez, np.savez_compressed))(file, **arrays)
    if rng.random() < 0.1:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(f"{name}.npy", b"twice")
    return file.getvalue()


def _mutate_record(path, rng):
    from neural_style.images.reading import read_image
    from neural_style.images.saving import METADATA, read_metadata

    metadata = read_metadata(path)
    record = change_value(json.loads(metadata[METADATA[1]]), rng)
    if not isinstance(record, dict):
        record = {"neural-style/image": record}
    name = f"changed-{random.random()}{Path(path).suffix}"
    save_image(name, read_image(path), metadata={**metadata, METADATA[1]: json.dumps(record)})
    data = Path(name).read_bytes()
    Path(name).unlink()
    return data
