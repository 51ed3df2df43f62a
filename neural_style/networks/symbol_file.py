"""Check the JSON of a symbol file, which anybody may have written, before MXNet sees it.

MXNet takes every index in the file at its word, and among its operators are some that take addresses of functions in
the process's own memory. So there is a list of operators, those of networks that classify images, and whatever points
to something must point to something that is there. docs/limits.md lists the operators.
"""

import json
import re

from ..limits import MAX_SYMBOL_NODES

# By MXNet's names, older spellings included; "null" is an input or a parameter.
OPERATORS = frozenset(
    """
    null Convolution Convolution_v1 Deconvolution FullyConnected Pooling Pooling_v1 BatchNorm BatchNorm_v1 LRN
    LayerNorm InstanceNorm GroupNorm L2Normalization Activation LeakyReLU relu sigmoid tanh softsign hard_sigmoid
    clip Concat concat add_n ElementWiseSum elemwise_add elemwise_sub elemwise_mul elemwise_div _plus _Plus _minus
    _Minus _mul _Mul _div _Div broadcast_add broadcast_plus broadcast_sub broadcast_minus broadcast_mul
    broadcast_div _plus_scalar _PlusScalar _minus_scalar _MinusScalar _rminus_scalar _RMinusScalar _mul_scalar
    _MulScalar _div_scalar _DivScalar _rdiv_scalar _RDivScalar _power_scalar _PowerScalar _maximum_scalar
    _MaximumScalar _minimum_scalar _MinimumScalar square sqrt rsqrt exp log abs negative _copy identity BlockGrad
    stop_gradient Cast cast Flatten flatten Reshape reshape expand_dims transpose SwapAxis swapaxes SliceChannel
    split slice_axis Pad pad UpSampling mean sum max Dropout softmax log_softmax SoftmaxActivation SoftmaxOutput
    Softmax _contrib_AdaptiveAvgPooling2D
    """.split()
)

# Those with more than one output, and the attribute that says how many.
_OUTPUTS = {"SliceChannel": "num_outputs", "split": "num_outputs"}

# How many inputs they have, the least and the most, where it is not 1: MXNet takes it for granted that they are there.
_BINARY = """
    elemwise_add elemwise_sub elemwise_mul elemwise_div _plus _Plus _minus _Minus _mul _Mul _div _Div broadcast_add
    broadcast_plus broadcast_sub broadcast_minus broadcast_mul broadcast_div SoftmaxOutput Softmax
""".split()
_INPUTS = {
    "null": (0, 0),
    **dict.fromkeys(_BINARY, (2, 2)),
    **dict.fromkeys(("Convolution", "Convolution_v1", "Deconvolution", "FullyConnected"), (2, 3)),
    **dict.fromkeys(("BatchNorm", "BatchNorm_v1"), (5, 5)),
    **dict.fromkeys(("LayerNorm", "InstanceNorm", "GroupNorm"), (3, 3)),
    **dict.fromkeys(("Concat", "concat", "add_n", "ElementWiseSum", "UpSampling"), (1, 1000)),
    "LeakyReLU": (1, 2),
}
# Up to this version files did not name the moments of batch normalisation, which MXNet adds.
_WITHOUT_MOMENTS = 800

# A node has its attributes under one of these keys, depending on the version of MXNet that wrote it.
_ATTRIBUTES = ("attrs", "attr", "param")
_NODE_KEYS = {"op", "name", "inputs", "backward_source_id", *_ATTRIBUTES}

# Larger numbers in an attribute are no size of anything in a network.
_LARGEST_NUMBER, _MOST_CHARACTERS = 10**6, 4096
# Attributes that divide or count something, and so are 1 or more.
_POSITIVE = ("kernel", "stride", "dilate", "num_filter", "num_group", "num_hidden", "num_outputs", "scale", "nsize")


def check_symbol(text):
    """Read the JSON of a symbol and check it.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict
        The symbol, as MXNet can be given it.

    Raises
    ------
    ValueError
        If it is not JSON, or not a symbol that is safe to load; the message says why.
    """
    try:
        symbol = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    nodes = symbol.get("nodes") if isinstance(symbol, dict) else None
    if not isinstance(nodes, list) or not 1 <= len(nodes) <= MAX_SYMBOL_NODES:
        raise ValueError(f"it must have from 1 to {MAX_SYMBOL_NODES} nodes")
    version = written_by(symbol)
    for number, node in enumerate(nodes):
        _check_node(node, number, nodes)
        _check_arity(node, version)
    _check_order(symbol, nodes)
    # The rest, such as positions in a table of outputs, MXNet makes anew.
    return {key: symbol[key] for key in ("nodes", "arg_nodes", "heads", "attrs") if key in symbol}


def _check_node(node, number, nodes):
    if not isinstance(node, dict) or set(node) - _NODE_KEYS:
        raise ValueError(f"node {number} is not a node of a network")
    operator, name = node.get("op"), node.get("name")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise ValueError(f"it has the operator {str(operator)[:40]}, which is not one of a network for images")
    if not isinstance(name, str) or len(name) > _MOST_CHARACTERS:
        raise ValueError(f"node {number} has no name")
    for key in _ATTRIBUTES:
        _check_attributes(node.get(key, {}), name)
    inputs = node.get("inputs")
    if not isinstance(inputs, list):
        raise ValueError(f"node {name} has odd inputs")
    for entry in inputs:
        _check_entry(entry, number, nodes)
    source = node.get("backward_source_id", -1)
    if type(source) is not int or not -1 <= source < number:
        raise ValueError(f"node {name} is the derivative of none")


def _check_entry(entry, end, nodes):
    """Check that an entry [node, output, version] is an output of a node before `end`."""
    if not isinstance(entry, list) or not 2 <= len(entry) <= 3 or not all(type(n) is int for n in entry):
        raise ValueError("it refers to a node in an unknown way")
    node, output = entry[:2]
    if not 0 <= node < end or not 0 <= output < _count_outputs(nodes[node]) or not 0 <= entry[-1] < 2**31:
        raise ValueError(f"it refers to output {output} of node {node}, which there is not")


def _count_outputs(node):
    key = _OUTPUTS.get(node.get("op"))
    attributes = [node[name] for name in _ATTRIBUTES if node.get(name)]
    return int(attributes[0].get(key, 1)) if key and attributes else 1


def _check_attributes(attributes, name):
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise ValueError(f"the attributes of node {name} are not text")
    for key, value in attributes.items():
        if len(key) + len(value) > _MOST_CHARACTERS:
            raise ValueError(f"attribute {key[:40]} of node {name} is too long")
        if key.startswith("__"):  # notes of whoever made the network, such as a factor of a learning rate
            continue
        numbers = [int(digits) for digits in re.findall(r"(?<![\d.eE+-])-?\d{1,18}(?![\d.eE])", value)]
        if re.search(r"\d{19}", value) or any(abs(n) > _LARGEST_NUMBER for n in numbers):
            raise ValueError(f"attribute {key} of node {name} is too large")
        if key in _POSITIVE and (not numbers or min(numbers) < 1):
            raise ValueError(f"attribute {key} of node {name} is '{value[:40]}'; it must be 1 or more")
        if key == "pad" and any(n < 0 for n in numbers):
            raise ValueError(f"attribute {key} of node {name} is '{value[:40]}'; it must be 0 or more")


def _check_order(symbol, nodes):
    names = [node["name"] for node in nodes]
    if len(set(names)) < len(names):
        raise ValueError("it has two nodes of one name")
    arguments = symbol.get("arg_nodes")
    null = [number for number, node in enumerate(nodes) if node["op"] == "null"]
    if not isinstance(arguments, list) or not all(type(n) is int for n in arguments) or set(arguments) - set(null):
        raise ValueError("its list of arguments is wrong")
    heads = symbol.get("heads")
    if not isinstance(heads, list) or not heads:
        raise ValueError("it has no outputs")
    for head in heads:
        _check_entry(head, len(nodes), nodes)


def _check_arity(node, version):
    least, most = _INPUTS.get(node["op"], (1, 1))
    if version <= _WITHOUT_MOMENTS and node["op"].startswith("BatchNorm"):
        least, most = (3, 3)
    if not least <= len(node["inputs"]) <= most:
        expected = least if least == most else f"{least} to {most}"
        raise ValueError(f"node {node['name']} has {len(node['inputs'])} inputs; {node['op']} has {expected}")


def written_by(symbol):
    """Return the version of MXNet that wrote a symbol, 10901 for 1.9.1; 0 where it does not say.

    Raises
    ------
    ValueError
        If what it says is no version.
    """
    attributes = symbol.get("attrs", {})
    if not isinstance(attributes, dict) or set(attributes) - {"mxnet_version"}:
        raise ValueError("it has attributes of an unknown kind")
    version = attributes.get("mxnet_version", ["int", 0])
    if not (isinstance(version, list) and len(version) == 2 and version[0] == "int" and _is_count(version[1])):
        raise ValueError("its version is none")
    return version[1]


def _is_count(value):
    return type(value) is int and 0 <= value < 2**31


def _refuse(constant):
    raise ValueError(f"{constant} is not a number")
