"""Parameters of small generators with random numbers in them, by this project's names."""

import numpy as np


def scaled(random, shape):
    """Return values with which a convolution keeps the size of what it gets."""
    inputs = int(np.prod(shape[1:])) if len(shape) > 1 else 25
    return (random.standard_normal(shape) / np.sqrt(inputs)).astype("float32")


def microast_shapes(first=4, second=6, third=8, dense=False):
    """Return the names and shapes of MicroAST with these numbers of channels."""
    one = (lambda channels: channels) if dense else (lambda channels: 1)
    shapes = {}

    def convolution(name, outputs, inputs, kernel):
        shapes[f"microast_{name}_weight"], shapes[f"microast_{name}_bias"] = (
            (outputs, inputs, kernel, kernel),
            (outputs,),
        )

    def residual(name):
        for number in (1, 2):
            convolution(f"{name}_conv{number}", third, third, 3)

    for which in ("content", "style"):
        convolution(f"{which}_conv1", first, 3, 9)
        convolution(f"{which}_conv2", second, one(first), 3)
        convolution(f"{which}_conv3", second, second, 1)
        convolution(f"{which}_conv4", third, one(second), 3)
        convolution(f"{which}_conv5", third, third, 1)
        residual(f"{which}_residual1")
        residual(f"{which}_residual2")
    for what in ("factor1", "term1", "factor2", "term2"):
        convolution(f"modulator_{what}", third, 1, 3)
    residual("decoder_residual2")
    residual("decoder_residual1")
    convolution("decoder_conv5", second, third if dense else third // second, 3)
    convolution("decoder_conv4", second, second, 1)
    convolution("decoder_conv3", first, second if dense else second // first, 3)
    convolution("decoder_conv2", first, first, 1)
    convolution("decoder_conv1", 3, first, 9)
    return shapes


def random_microast(seed=0, **widths):
    """Return the parameters of a small MicroAST, whose channels double where it is in groups."""
    random = np.random.RandomState(seed)
    widths = widths or dict(first=4, second=8, third=16)
    return {name: scaled(random, shape) for name, shape in microast_shapes(**widths).items()}


def transformer_net_state(seed=0, channels=(4, 6, 8)):
    """Return the arrays of a small TransformerNet by PyTorch's names."""
    random, (first, second, third) = np.random.RandomState(seed), channels
    convolutions = {"conv1": (first, 3, 9), "conv2": (second, first, 3), "conv3": (third, second, 3)}
    norms = {"in1": first, "in2": second, "in3": third, "in4": second, "in5": first}
    for number in range(1, 6):
        for inner in (1, 2):
            convolutions[f"res{number}.conv{inner}"] = (third, third, 3)
            norms[f"res{number}.in{inner}"] = third
    convolutions.update(deconv1=(second, third, 3), deconv2=(first, second, 3), deconv3=(3, first, 9))
    state = {}
    for name, (outputs, inputs, kernel) in convolutions.items():
        state[f"{name}.conv2d.weight"] = scaled(random, (outputs, inputs, kernel, kernel))
        state[f"{name}.conv2d.bias"] = scaled(random, (outputs,))
    for name, count in norms.items():
        state[f"{name}.weight"] = random.uniform(0.5, 1.5, count).astype("float32")
        state[f"{name}.bias"] = scaled(random, (count,))
    return state


def ml5_variables(seed=0, channels=(4, 6, 8)):
    """Return the 48 arrays of a small network of ml5's, in TensorFlow's order of dimensions."""
    random, (first, second, third) = np.random.RandomState(seed), channels
    shapes = [(9, 9, 3, first), (3, 3, first, second), (3, 3, second, third)] + [(3, 3, third, third)] * 10
    shapes += [(3, 3, second, third), (3, 3, first, second), (9, 9, first, 3)]
    variables = []
    for number, shape in enumerate(shapes):
        outputs = shape[2] if number in (13, 14) else shape[3]
        weight = random.standard_normal(shape) / np.sqrt(np.prod(shape[:2]) * min(shape[2:]))
        variables += [weight, random.standard_normal(outputs) / 5, random.uniform(0.5, 1.5, outputs)]
    return [value.astype("float32") for value in variables]


def pastiche_state(seed=0, styles=3, blocks=2, channels=(4, 5, 6)):
    """Return the arrays of a small network of several styles by the names of its ONNX file."""
    random, (first, second, third) = np.random.RandomState(seed), channels
    shapes = {"contract.0": (first, 3, 9), "contract.1": (second, first, 3), "contract.2": (third, second, 3)}
    shapes.update({f"res.{n}.{m}": (third, third, 3) for n in range(blocks) for m in (0, 1)})
    shapes.update({"expand.0": (second, third, 3), "expand.1": (first, second, 3), "expand.2": (3, first, 9)})
    state = {}
    for name, (outputs, inputs, kernel) in shapes.items():
        state[f"{name}.w"] = scaled(random, (outputs, inputs, kernel, kernel))
        state[f"{name}.norm.gamma"] = random.uniform(0.5, 1.5, (styles, outputs)).astype("float32")
        state[f"{name}.norm.beta"] = scaled(random, (styles, outputs))
    return state


def msg_net_state(seed=0, ngf=2):
    """Return the arrays of a MSG-Net by Gluon's structured names, each shared one once, in their order."""
    random, state, deep = np.random.RandomState(seed), {}, 4 * ngf

    def convolution(name, outputs, inputs, kernel):
        state[f"{name}.weight"] = scaled(random, (outputs, inputs, kernel, kernel))
        state[f"{name}.bias"] = scaled(random, (outputs,))

    def norm(name, count):
        state[f"{name}.gamma"] = random.uniform(0.5, 1.5, count).astype("float32")  # frozen, so it must not matter
        state[f"{name}.beta"] = scaled(random, (count,))

    def block(name, inputs, planes, skip=""):
        if skip:
            convolution(f"{name}.residual_layer{skip.strip('-')}", 4 * planes, inputs, 1)
        norm(f"{name}.conv_block.0", inputs)
        convolution(f"{name}.conv_block.2", planes, inputs, 1)
        norm(f"{name}.conv_block.3", planes)
        convolution(f"{name}.conv_block.5.conv2d", planes, planes, 3)
        norm(f"{name}.conv_block.6", planes)
        convolution(f"{name}.conv_block.8", 4 * planes, planes, 1)

    convolution("model.0.0.conv2d", 4, 3, 7)
    norm("model.0.1", 4)
    block("model.0.3", 4, 2, "-")
    block("model.0.4", 8, ngf, "-")
    state["model.1.weight"] = scaled(random, (1, deep, deep)) * 8
    for number in range(2, 8):
        block(f"model.{number}", deep, ngf)
    block("model.8", deep, 2, ".conv2d")
    block("model.9", 8, 1, ".conv2d")
    norm("model.10", 4)
    convolution("model.12.conv2d", 3, 4, 7)
    return state


def end_to_end_stage(kind, seed=0):
    """Return the layers of a generator of MXNet's end_to_end, "v4" or "v3", as `torch_generators` takes them."""
    random = np.random.RandomState(seed)
    if kind == "v4":
        sizes = [(48, 3, 5), (32, 48, 5), (64, 32, 3), (32, 64, 5), (48, 32, 5), (32, 48, 5), (3, 32, 3)]
        layers = [("convolution", (*size, size[-1]), number < 5) for number, size in enumerate(sizes)]
    else:
        sizes = [(64, 3, 5), (48, 64, 3), (128, 48, 5), (96, 128, 3), (256, 96, 5), (192, 256, 3)]
        layers = [("convolution", (*size, size[-1]), True) for size in sizes]
        layers += [("deconvolution", (192, 128, 7, 7), False), ("convolution", (160, 128, 3, 3), True)]
        layers += [("deconvolution", (160, 64, 7, 7), False), ("convolution", (96, 64, 3, 3), True)]
        layers += [("deconvolution", (96, 3, 8, 8), False)]
    made = []
    for name, shape, bias in layers:
        outputs = shape[1] if name == "deconvolution" else shape[0]
        numbers = [random.uniform(0.5, 1.5, outputs), random.standard_normal(outputs) / 5]
        numbers += [random.standard_normal(outputs) / 5, random.uniform(0.5, 1.5, outputs)]
        terms = [scaled(random, shape), scaled(random, (outputs,)) if bias else None]
        made.append((name, *terms, *(value.astype("float32") for value in numbers)))
    return made


def magenta_state(seed=0, code=5):
    """Return the arrays of Magenta's transformer and MobileNetV2 with few channels, by TensorFlow's names."""
    random, state = np.random.RandomState(seed), {}

    def convolution(name, shape, bias=True, weights="weights"):
        state[f"{name}/{weights}"] = scaled(random, shape)
        if bias:
            state[f"{name}/biases"] = scaled(random, shape[:1])

    for number, shape in enumerate(((4, 3, 9, 9), (5, 4, 3, 3), (6, 5, 3, 3)), 1):
        convolution(f"transformer/contract/conv{number}", shape)
    layers = {f"residual/residual{n}/conv{m}": (6, 6, 3, 3) for n in range(1, 6) for m in (1, 2)}
    layers.update(
        {"expand/conv1/conv": (5, 6, 3, 3), "expand/conv2/conv": (4, 5, 3, 3), "expand/conv3/conv": (3, 4, 9, 9)}
    )
    for name, shape in layers.items():
        convolution(f"transformer/{name}", shape, bias=False)
        for part in ("Conv", "Conv_1"):
            convolution(f"style_params/transformer/{name}/StyleNorm/{part}", (shape[0], code, 1, 1))
    convolution("MobilenetV2/Conv", (4, 3, 3, 3))
    before = 4
    for number, after in enumerate((3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9)):
        name, wide = f"MobilenetV2/expanded_conv{f'_{number}' if number else ''}", before * (6 if number else 1)
        if number:
            convolution(f"{name}/expand", (wide, before, 1, 1))
        convolution(f"{name}/depthwise", (wide, 1, 3, 3), weights="depthwise_weights")
        convolution(f"{name}/project", (after, wide, 1, 1))
        before = after
    convolution("MobilenetV2/Conv_1", (12, before, 1, 1))
    convolution("mobilenet_conv/Conv", (code, 12, 1, 1), bias=False)
    return state
