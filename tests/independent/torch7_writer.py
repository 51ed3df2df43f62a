"""Write Torch 7's binary format, and Johnson's generators in it."""

import struct

import numpy as np


class Writer:
    """Collects the bytes of objects; each table and object of a class is new."""

    def __init__(self):
        self.data, self.count = b"", 0

    def integer(self, *values, form="i"):
        self.data += struct.pack(f"<{len(values)}{form}", *values)

    def text(self, text):
        self.integer(len(text))
        self.data += text.encode("latin-1")

    def number_of_object(self, kind):
        self.count += 1
        self.integer(kind, self.count)

    def write(self, value):
        if value is None:
            self.integer(0)
        elif isinstance(value, bool):
            self.integer(5, int(value))
        elif isinstance(value, (int, float)):
            self.integer(1)
            self.integer(float(value), form="d")
        elif isinstance(value, str):
            self.integer(2)
            self.text(value)
        elif isinstance(value, np.ndarray):
            self.tensor(value)
        elif isinstance(value, tuple):  # a class and its fields
            self.number_of_object(4)
            self.text("V 1")
            self.text(value[0])
            self.write(value[1])
        else:
            pairs = value.items() if isinstance(value, dict) else enumerate(value, 1)
            self.number_of_object(3)
            self.integer(len(pairs) if isinstance(value, dict) else len(value))
            for pair in pairs:
                for one in pair:
                    self.write(one)
        return self

    def tensor(self, value):
        self.number_of_object(4)
        self.text("V 1")
        self.text("torch.FloatTensor")
        self.integer(value.ndim)
        strides = [int(np.prod(value.shape[axis + 1 :])) for axis in range(value.ndim)]
        self.integer(*value.shape, *strides, 1, form="q")
        self.number_of_object(4)
        self.text("V 1")
        self.text("torch.FloatStorage")
        self.integer(value.size, form="q")
        self.data += value.astype("<f4").tobytes()


def johnson(path, seed=0, channels=(4, 6, 8), blocks=2, batch_norm=False, checkpoint=True, pad=None, more=()):
    """Write a small generator as the program does; ``more`` are further layers at its end."""
    random = np.random.RandomState(seed)

    def scaled(*shape, inputs=1):
        return (random.standard_normal(shape) / np.sqrt(inputs)).astype("float32")

    def convolution(before, after, k, stride, side, full=False):
        weight = scaled(*((before, after) if full else (after, before)), k, k, inputs=before * k * k)
        fields = dict(nInputPlane=before, nOutputPlane=after, kW=k, kH=k, dW=stride, dH=stride, padW=side, padH=side)
        fields.update(weight=weight, bias=scaled(after, inputs=25), **(dict(adjW=1, adjH=1) if full else {}))
        return (f"nn.Spatial{'Full' if full else ''}Convolution", fields)

    def norm(count):
        fields = dict(weight=random.uniform(0.5, 1.5, count).astype("float32"), bias=scaled(count, inputs=25), eps=1e-5)
        if not batch_norm:
            return ("nn.InstanceNormalization", dict(fields, nOutput=count, prev_N=-1))
        fields.update(running_mean=scaled(count, inputs=25), running_var=random.uniform(0.5, 1.5, count).astype("f4"))
        return ("nn.SpatialBatchNormalization", dict(fields, affine=True, momentum=0.1))

    def relu():
        return ("nn.ReLU", dict(inplace=True, threshold=0, val=0))

    def container(name, *children):
        return (f"nn.{name}", dict(modules=list(children)))

    first, second, third = channels
    pad = 8 * blocks if pad is None else pad
    layers = [("nn.SpatialReflectionPadding", {f"pad_{side}": pad for side in "lrtb"})]
    for before, after, k, stride in ((3, first, 9, 1), (first, second, 3, 2), (second, third, 3, 2)):
        layers += [convolution(before, after, k, stride, k // 2 if stride == 1 else 1), norm(after), relu()]
    for _ in range(blocks):
        inner = [
            convolution(third, third, 3, 1, 0),
            norm(third),
            relu(),
            convolution(third, third, 3, 1, 0),
            norm(third),
        ]
        both = container("ConcatTable", container("Sequential", *inner), ("nn.ShaveImage", dict(size=2)))
        layers.append(container("Sequential", both, ("nn.CAddTable", dict(inplace=False))))
    for before, after in ((third, second), (second, first)):
        layers += [convolution(before, after, 3, 2, 1, full=True), norm(after), relu()]
    layers += [
        convolution(first, 3, 9, 1, 4),
        ("nn.Tanh", {}),
        ("nn.MulConstant", dict(constant_scalar=150, inplace=False)),
    ]
    layers += [("nn.TotalVariation", dict(strength=1e-6)), *more]
    model = container("Sequential", *layers)
    path.write_bytes(Writer().write(dict(opt={"arch": "c9s1-4"}, model=model) if checkpoint else model).data)
