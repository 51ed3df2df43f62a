"""The original programs' computation, written down once more from their description, in one piece.

It shares nothing with the package but the way MXNet is imported: no recipe, no executor, no clipping on the device.
Where it and the package agree bit for bit on a machine, the package computes there what the original programs would.
"""

from dataclasses import dataclass

import numpy as np

from neural_style._mxnet import mx

STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
CONTENT = "relu4_2"
CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
VGG19 = [f"conv{b}_{c}" for b, n in enumerate((2, 2, 4, 4, 1), 1) for c in range(1, n + 1)]


@dataclass
class Flags:
    """The flags that matter here, with the defaults of both programs."""

    version: str
    stop_eps: float = 0.005
    content_weight: float = 10
    style_weight: float = 1
    tv_weight: float = 0.01
    max_num_epochs: int = 1000
    lr: float = 0.001
    lr_sched_delay: int = 75
    lr_sched_factor: float = 0.9


def seeded_weights(known=None):
    """Weights of VGG-19 up to conv5_1: those in `known`, the others He-initialised from RandomState(0), no biases."""
    rng, weights, c_in = np.random.RandomState(0), dict(known or {}), 3
    for name in VGG19:
        c_out = CHANNELS[name[4]]
        if f"arg:{name}_weight" not in weights:
            he = rng.standard_normal((c_out, c_in, 3, 3)) * np.sqrt(2 / (9 * c_in))
            weights[f"arg:{name}_weight"] = mx.nd.array(he.astype("float32"))
            weights[f"arg:{name}_bias"] = mx.nd.zeros((c_out,))
        c_in = c_out
    return weights


def run(flags, content, style, weights, seed, nudge=False):
    """Give the image (1, 3, H, W) and the relative changes for float32 pictures (1, 3, H, W) in network space.

    The network is what the weights are of: VGG-19 as in the originals, VGG-16, or either of low rank. With `nudge` one
    value of the start is moved to the next float32.
    """
    weights = {name[len("arg:") :]: value for name, value in weights.items()}
    x, activations = mx.sym.Variable("data"), {}
    convolutions = [name for name in VGG19 if f"{name}_bias" in weights]
    for i, name in enumerate(convolutions):
        if i and convolutions[i - 1][4] != name[4]:
            x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")
        last = {"kernel": (3, 3), "pad": (1, 1), "weight": mx.sym.Variable(f"{name}_weight")}
        if f"{name}_weight" not in weights:
            narrow = [weights[f"{name}_{part}_weight"].shape[0] for part in ("in", "core")]
            x = mx.sym.Convolution(x, num_filter=narrow[0], kernel=(1, 1), no_bias=True, name=f"{name}_in")
            x = mx.sym.Convolution(
                x, num_filter=narrow[1], kernel=(3, 3), pad=(1, 1), no_bias=True, name=f"{name}_core"
            )
            last = {"kernel": (1, 1), "weight": mx.sym.Variable(f"{name}_out_weight")}
        x = mx.sym.Convolution(x, num_filter=CHANNELS[name[4]], name=name, **last)
        x = mx.sym.Activation(x, act_type="relu")
        activations["relu" + name[4:]] = x
    grams, scales = [], []
    for layer in STYLE:
        _, [shape], _ = activations[layer].infer_shape(data=content.shape)
        flat = mx.sym.Reshape(activations[layer], shape=(shape[1], shape[2] * shape[3]))
        grams.append(mx.sym.FullyConnected(flat, flat, no_bias=True, num_hidden=shape[1]))
        scales.append(shape[1] * int(np.prod(shape[1:])))

    def bind(symbol, data, gradient, **more):
        known = dict(weights, data=data, **more)
        arguments = {name: known[name] for name in symbol.list_arguments()}
        requests = {name: "write" if name == "data" else "null" for name in arguments}
        return symbol.bind(mx.cpu(), arguments, args_grad={"data": gradient}, grad_req=requests)

    data, gradient = mx.nd.zeros(content.shape), mx.nd.zeros(content.shape)
    executor = bind(mx.sym.Group(grams + [activations[CONTENT]]), data, gradient)
    data[:] = style
    executor.forward()
    targets = {f"gram{i}": executor.outputs[i].copy() for i in range(len(STYLE))}
    data[:] = content
    executor.forward()
    targets["content"] = executor.outputs[-1].copy()

    losses = [mx.sym.sum(mx.sym.square(mx.sym.Variable(f"gram{i}") - gram)) for i, gram in enumerate(grams)]
    losses.append(mx.sym.sum(mx.sym.square(mx.sym.Variable("content") - activations[CONTENT])))
    executor = bind(mx.sym.Group(losses), data, gradient, **targets)
    head_gradients = [mx.nd.ones((1,)) * (flags.style_weight / scale) for scale in scales]
    head_gradients.append(mx.nd.ones((1,)) * flags.content_weight)

    mx.random.seed(seed)
    image = mx.random.uniform(-0.1, 0.1, content.shape)
    if nudge:
        start = image.asnumpy()
        start[0, 0, 0, 0] = np.nextafter(start[0, 0, 0, 0], np.float32(1))
        image[:] = start
    stencil = mx.nd.array(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]).reshape((1, 1, 3, 3))) / 8
    kernel = mx.sym.Variable("stencil")
    planes = mx.sym.SliceChannel(mx.sym.Variable("image"), num_outputs=3)
    filtered = [
        mx.sym.Convolution(planes[i], kernel, num_filter=1, kernel=(3, 3), pad=(1, 1), no_bias=True) for i in range(3)
    ]
    smoother = (mx.sym.Concat(*filtered) * flags.tv_weight).bind(mx.cpu(), {"image": image, "stencil": stencil})

    if flags.version == "0.7":
        schedule = mx.lr_scheduler.FactorScheduler(step=80, factor=0.9, base_lr=flags.lr)
        optimizer = mx.optimizer.SGD(learning_rate=flags.lr, momentum=0.9, wd=0.0005, lr_scheduler=schedule)
    else:
        schedule = mx.lr_scheduler.FactorScheduler(
            step=flags.lr_sched_delay, factor=flags.lr_sched_factor, base_lr=flags.lr
        )
        optimizer = mx.optimizer.NAG(learning_rate=flags.lr, momentum=0.95, wd=0.0001, lr_scheduler=schedule)
    state = optimizer.create_state(0, image)
    bound = image.size
    changes, old = [], image.copy()
    for _ in range(flags.max_num_epochs):
        image.copyto(data)
        executor.forward(is_train=True)
        executor.backward(head_gradients)
        norm = mx.nd.norm(gradient).asscalar()
        if norm > bound:
            gradient[:] *= bound / norm
        update = gradient
        if flags.tv_weight > 0:
            smoother.forward()
            update = gradient + smoother.outputs[0]
        optimizer.update(0, image, update, state)
        changes.append(float((mx.nd.norm(old - image) / mx.nd.norm(image)).asscalar()))
        old = image.copy()
        if changes[-1] < flags.stop_eps:
            break
    return image.asnumpy(), changes
