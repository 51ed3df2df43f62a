"""Files of generators as other programs write them."""

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
