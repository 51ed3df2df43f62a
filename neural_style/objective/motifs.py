"""Motifs: every position of the canvas is compared with the position of the painting that is most like it.

A statistic over all positions says which strokes and colours there are, and leaves open what lies beside what. Markov
random fields of patches keep that: Li & Wand, Combining Markov Random Fields and Convolutional Neural Networks for
Image Synthesis, CVPR 2016 (arXiv:1601.04589). Here a patch is what one position of a layer sees, as in Kolkin, Salavon
& Shakhnarovich, Style Transfer by Relaxed Optimal Transport and Self-Similarity, CVPR 2019 (arXiv:1904.12785), whose
distance this is, in one of its two directions: each position of the canvas has a counterpart in the painting, and not
each of the painting's has one in the canvas. That makes the loss a sum over the positions of the canvas.
"""

from .._mxnet import mx

# Positions of the style that are kept, so that time and memory do not grow with the style. At 192 pixels, images look
# the same with all 1,800 of relu3_1.
KEPT = 1024
# Seed of the draw, so that a run can be repeated.
_SEED = 0


class Motifs:
    """The activation of each position, compared by cosine with the most similar one of the style.

    Its loss is Σ w (1 − max cos(f, fₜ)), over the positions of the canvas that count w each, where the maximum is that
    over the positions of the style. The representation is the activation with the weights w as one more channel,
    (N, C + 1, H, W). The target, (K, C), holds up to `KEPT` positions of the styles, drawn at random, of length 1.
    """

    additive, pointwise, normalised = False, False, True

    def shape(self, channels, height, width):
        """Return (1, C + 1, H, W)."""
        return 1, channels + 1, height, width

    def target_shape(self, channels):
        """Return the shape of the largest target."""
        return KEPT, channels

    def symbol(self, activation, channels, batch=1, guide=None):
        """Build the activation and, as its last channel, how much each position counts."""
        one = mx.sym.slice_axis(activation, axis=1, begin=0, end=1)
        weights = mx.sym.BlockGrad(mx.sym.ones_like(one)) if guide is None else mx.sym.square(guide)
        return mx.sym.Concat(activation, weights, dim=1)

    def prepare(self, reads, weights):
        """Return the target: positions that count, of each style in proportion to its weight."""
        import numpy as np  # here, because `--help` lists what recipes can compare, and does without it

        rng, drawn = np.random.RandomState(_SEED), []
        for read, weight in zip(reads, weights):
            # (1, C + 1, H, W) -> (H*W, C + 1)
            positions = read.asnumpy()[0].reshape(read.shape[1], -1).T
            positions = positions[positions[:, -1] > 0, :-1]
            count = max(1, round(KEPT * weight / sum(weights)))
            if len(positions) > count:
                positions = positions[np.sort(rng.choice(len(positions), count, replace=False))]
            drawn.append(positions)
        kept = np.concatenate(drawn)[:KEPT]
        lengths = np.sqrt(np.square(kept, dtype=np.float64).sum(axis=1, keepdims=True))
        return mx.nd.array(kept / np.maximum(lengths, np.finfo(np.float32).tiny), ctx=reads[0].context)

    def loss(self, target, found, batch=1):
        """Build the sum over positions, (1,)."""
        # (N, C + 1, H, W) -> (N*H*W, C + 1)
        rows = mx.sym.Reshape(mx.sym.transpose(found, axes=(0, 2, 3, 1)), shape=(-3, -2))
        rows = mx.sym.Reshape(rows, shape=(-3, -2))
        directions = mx.sym.L2Normalization(mx.sym.slice_axis(rows, axis=1, begin=0, end=-1), mode="instance")
        weights = mx.sym.Reshape(mx.sym.slice_axis(rows, axis=1, begin=-1, end=None), shape=(-1,))
        # (N*H*W, C), (K, C) -> (N*H*W, K) -> (N*H*W, C); what is most similar stays so for a small step
        likeness = mx.sym.dot(mx.sym.BlockGrad(directions), target, transpose_b=True)
        nearest = mx.sym.take(target, mx.sym.argmax(likeness, axis=1))
        cosines = mx.sym.sum(directions * mx.sym.BlockGrad(nearest), axis=1)
        return mx.sym.dot(mx.sym.BlockGrad(weights), 1 - cosines).reshape((1,))


MOTIFS = Motifs()
