"""Limits: how much a file or a setting may ask for, each with its reason.

They are far above what anybody needs, and exist because a file from a stranger, or a slip of the hand, can ask for any
amount of time and memory. docs/limits.md lists them with the flags that move them, where there is one.
"""

# What a float32 can be, apart from 0: MXNet reads parameters of its operators as float32 and refuses everything else.
SMALLEST_FLOAT, LARGEST_FLOAT = 1.1754944e-38, 3.4028234e38

# Of a setting that counts something: MXNet's counters are of 32 bits.
MAX_COUNT = 10**9
# Of a setting that is a list: more layers than any network has.
MAX_LENGTH = 1000

# The square root of what Pillow reads, below: an image that this program makes can be read again, whatever its shape.
MAX_LONG_EDGE = 13377

# An image of as many pixels as are read, of four channels of 16 bits, is smaller; standard input need not end.
MAX_STANDARD_BYTES = 2**31

# MXNet takes a seed modulo 2^32; beyond, two seeds would be one.
MAX_SEED = 2**32 - 1

# The largest VGG file, with its fully connected layers in float32, has 0.6 GB.
MAX_WEIGHTS_BYTES = 4 * 2**30
# The largest published networks have some thousand parameters; names of parameters are words.
MAX_PARAMETERS, MAX_NAME_BYTES = 100000, 4096

# The symbol of ResNet-152 has 0.3 MB and 1,400 nodes.
MAX_SYMBOL_BYTES, MAX_SYMBOL_NODES = 16 * 2**20, 20000

# Of the canvas at `MAX_LONG_EDGE` and 20 arrays of its size, an L-BFGS with its default history.
MAX_ARCHIVE_BYTES = 44 * 2**30

# For a foreign reader of weights in a process of its own, besides what it takes to start: some passes over the file.
READER_BYTES, READER_BYTES_PER_BYTE = 2**30, 6
# Slow disks give 10 MB in a second; decompression is faster. No file may take longer than this to be read.
READER_SECONDS, READER_BYTES_PER_SECOND = 8, 10 * 2**20


def max_pixels():
    """Return how many pixels an image may have: Pillow refuses from twice the number at which it warns.

    It is 178,956,970, a third of a gigabyte of RGB, unless a program has set `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    from PIL import Image

    return float("inf") if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS
