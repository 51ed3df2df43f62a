"""Files of generators as other programs write them."""

import json

import numpy as np
import onnx_writer

from neural_style._mxnet import mx


def plain(path, arrays):
    """Write MXNet's format without ``arg:``, as Gluon does."""
    mx.nd.save(str(path), {name: mx.nd.array(value) for name, value in arrays.items()})


def transformer_net_onnx(path, state, numbered=False):
    """Write TransformerNet as PyTorch exports it, under its own names or, as older versions did, under numbers."""
    layers = ["conv1", "conv2", "conv3", *(f"res{n}.conv{m}" for n in range(1, 6) for m in (1, 2))]
    layers += ["deconv1", "deconv2", "deconv3"]
    norms = ["in1", "in2", "in3", *(f"res{n}.in{m}" for n in range(1, 6) for m in (1, 2)), "in4", "in5", None]
    nodes, stored = [], []
    for layer, norm in zip(layers, norms):
        for operation, stem in (("Conv", f"{layer}.conv2d"), ("InstanceNormalization", norm)):
            names = [f"{stem}.weight", f"{stem}.bias"] if stem else []
            labels = [str(len(stored) + n) if numbered else name for n, name in enumerate(names)]
            stored += [onnx_writer.tensor(label, state[name]) for label, name in zip(labels, names)]
            nodes += [onnx_writer.node(operation, ["x", *labels], ["x"])] if stem else []
    path.write_bytes(onnx_writer.model(nodes, stored))


def msg_net(path, state, counted=False):
    """Write MSG-Net as ``save_parameters`` does, or under counted names, as MXNet 1.0 did."""
    if not counted:
        shared = {name.replace("model.0.", "model1.", 1): v for name, v in state.items() if name.startswith("model.0.")}
        return plain(path, {**shared, "ins.weight": state["model.1.weight"], **state})
    counts, renamed = {}, {"inspiration0_gram": np.zeros_like(state["model.1.weight"])}
    for name, value in state.items():
        stem, part = name.rsplit(".", 1)
        kind = "instancenorm" if part in ("gamma", "beta") else "inspiration" if stem == "model.1" else "conv"
        counts.setdefault(kind, {}).setdefault(stem, len(counts[kind]))
        renamed[f"{kind}{counts[kind][stem]}_{part}"] = value
    return plain(path, renamed)


def end_to_end(path, layers, first):
    """Write a generator as the example does, its names counted on from what was built before."""
    stored, counts = {}, dict(convolution=first, deconvolution=first // 3, batchnorm=first)
    for kind, weight, bias, gamma, beta, mean, variance in layers:
        name, norm = f"{kind}{counts[kind]}", f"batchnorm{counts['batchnorm']}"
        stored[f"arg:{name}_weight"] = weight
        if bias is not None:
            stored[f"arg:{name}_bias"] = bias
        stored.update({f"arg:{norm}_gamma": gamma, f"arg:{norm}_beta": beta})
        stored.update({f"aux:{norm}_moving_mean": mean, f"aux:{norm}_moving_var": variance})
        counts[kind] += 1
        counts["batchnorm"] += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    plain(path, stored)


def ml5(folder, variables):
    """Write a folder of raw arrays with a manifest, as ml5 has them."""
    shapes = {}
    for number, value in enumerate(variables):
        name = f"Variable_{number}" if number else "Variable"
        shapes[name] = {"filename": name, "shape": list(value.shape)}
        (folder / name).write_bytes(value.astype("<f4").tobytes())
    (folder / "manifest.json").write_text(json.dumps(shapes))


def pastiche(path, state, raw=True):
    """Write the arrays of the 26 styles' network."""
    path.write_bytes(onnx_writer.model([], [onnx_writer.tensor(name, value, raw) for name, value in state.items()]))


def magenta(folder, state):
    """Write transformer and predictor with weights in 8 bits, as the TFLite files have them; return their values."""
    values = {}
    for file, own in (("transform", lambda name: "transformer/" in name), ("predict", lambda name: "obilenet" in name)):
        nodes, stored = [], []
        for name, weight in state.items():
            if not own(name) or not name.endswith("weights"):
                continue
            scale = (np.abs(weight).max(axis=(1, 2, 3)) / 127).astype("float32")
            eighth = np.rint(weight / scale.reshape(-1, 1, 1, 1)).astype("int8")
            values[name] = eighth * scale.reshape(-1, 1, 1, 1)
            stored += [onnx_writer.tensor(name, eighth), onnx_writer.tensor(f"{name}/scale", scale)]
            stored.append(onnx_writer.tensor(f"{name}/zero", np.zeros_like(scale, "int8")))
            nodes.append(onnx_writer.node("DequantizeLinear", [name, f"{name}/scale", f"{name}/zero"], [f"{name}/dq"]))
            bias = name.rsplit("/", 1)[0] + "/biases"
            inputs = ["x", f"{name}/dq"]
            if bias in state:
                values[bias], small = state[bias], np.float32(2**-10)
                values[bias] = (np.rint(state[bias] / small) * small).astype("float32")
                stored.append(onnx_writer.tensor(bias, np.rint(state[bias] / small).astype("int32"), raw=False))
                stored.append(onnx_writer.tensor(f"{bias}/scale", np.array(small)))
                nodes.append(onnx_writer.node("DequantizeLinear", [bias, f"{bias}/scale"], [f"{bias}/dq"]))
                inputs.append(f"{bias}/dq")
            nodes.append(onnx_writer.node("Conv", inputs, ["x"]))
        (folder / f"arbitrary_{file}.onnx").write_bytes(onnx_writer.model(nodes, stored))
    return values
