"""Feed-forward generators once more, in PyTorch: their layers as their papers and programs describe them.

Parameters come as dicts of tensors by the names of the programs themselves.
"""

from torch.nn import functional as F


class MicroAST:
    """MicroAST (AAAI 2023).

    Parameters
    ----------
    content, style, modulator, decoder : dict of str to torch.Tensor
    """

    def __init__(self, content, style, modulator, decoder):
        self.content, self.style, self.modulator, self.decoder = content, style, modulator, decoder

    @staticmethod
    def convolve(weights, name, x, stride=1):
        weight = weights[f"{name}.conv_layer.weight"]
        x = F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect")
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, weights[f"{name}.conv_layer.bias"], stride, groups=groups)

    def residual(self, weights, name, x, factor=None, term=None):
        def step(inner, x):
            y = self.convolve(weights, f"{name}.{inner}", x)
            return y if factor is None else factor * y + term * x

        return x + step("conv2", step("conv1", x).relu())

    def encode(self, weights, x):
        for place, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
            x = self.convolve(weights, f"enc1.{place}", x, stride).relu()
        shallow = self.residual(weights, "enc1.10", x)
        return shallow, self.residual(weights, "enc2.0", shallow)

    @staticmethod
    def adain(x, style):
        def moments(y):
            return y.mean((2, 3), keepdim=True), (y.var((2, 3), keepdim=True) + 1e-5).sqrt()

        (mean, deviation), (wanted_mean, wanted_deviation) = moments(x), moments(style)
        return (x - mean) / deviation * wanted_deviation + wanted_mean

    def __call__(self, content, style):
        """Return the picture (N, 3, H, W) of images (N, 3, H, W) in [0, 1], not clipped."""
        (_, deep), styles = self.encode(self.content, content), self.encode(self.style, style)
        signals = {
            f"{kind}{depth}": self.convolve(self.modulator, f"{kind}{depth}.0", features).mean((2, 3), keepdim=True)
            for depth, features in enumerate(styles, 1)
            for kind in ("weight", "bias")
        }
        x = self.residual(self.decoder, "dec1", self.adain(deep, styles[1]), signals["weight2"], signals["bias2"])
        x = self.residual(self.decoder, "dec2", self.adain(x, styles[0]), signals["weight1"], signals["bias1"])
        for places in ((1, 3), (6, 8)):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            for place in places:
                x = self.convolve(self.decoder, f"dec3.{place}", x).relu()
        return self.convolve(self.decoder, "dec3.10", x)
