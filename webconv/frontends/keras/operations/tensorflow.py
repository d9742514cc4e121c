"""TensorFlow functions that functional models of Keras 2 call as layers: by name, with keywords."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from webconv.frontends import common
from webconv.frontends.keras.errors import shown
from webconv.frontends.keras.operations import (
    elementwise,
    images,
    neural,
    reductions,
    shapes,
    tensorflow_images,
    tensorflow_only,
)
from webconv.frontends.keras.schema import convert, parameters
from webconv.frontends.keras.tree import Layer, Rule, flatten
from webconv.ir.errors import ModelFormatError, UnsupportedError
from webconv.ir.graph import Value

OPERATIONS = {
    **tensorflow_only.RULES,
    **tensorflow_images.RULES,
    **images.RULES,
    **elementwise.RULES,
    **reductions.RULES,
    **shapes.RULES,
    **neural.RULES,
}
XY = ("x", "y")
A = ("x",)


def same(*names: str) -> Mapping[str, str]:
    """Arguments that both call the same."""
    return dict(zip(names, names, strict=True))


AXIS = same("axis", "keepdims")
WINDOWS = same("ksize", "strides", "padding")
CENTRES = ("align_corners", "half_pixel_centers")
BOX = ("offset_height", "offset_width", "target_height", "target_width")
MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
# The TensorFlow function -> our operation, its tensors in order, and its other arguments.
FUNCTIONS: Mapping[str, tuple[str, tuple[str, ...], Mapping[str, str]]] = {
    "__operators__.add": ("Add", XY, {}),
    "math.add": ("Add", XY, {}),
    "math.subtract": ("Subtract", XY, {}),
    "math.multiply": ("Multiply", XY, {}),
    "math.truediv": ("Divide", XY, {}),
    "math.divide": ("Divide", XY, {}),
    "math.divide_no_nan": ("DivideNoNan", XY, {}),
    "math.floordiv": ("FloorDivide", XY, {}),
    "math.floormod": ("Mod", XY, {}),
    "math.mod": ("Mod", XY, {}),
    "floor_div": ("FloorDivide", XY, {}),
    "math.pow": ("Power", XY, {}),
    "math.squared_difference": ("SquaredDifference", XY, {}),
    "math.add_n": ("AddN", ("inputs",), {}),
    "nn.bias_add": ("Add", ("value", "bias"), {}),
    "linalg.band_part": ("BandPart", ("input",), {"num_lower": "lower", "num_upper": "upper"}),
    "slice": ("Cut", ("input_",), {"begin": "begin", "size": "size"}),
    "keras.backend.batch_flatten": ("BatchFlatten", A, {}),
    "math.maximum": ("Maximum", XY, {}),
    "math.minimum": ("Minimum", XY, {}),
    "math.equal": ("Equal", XY, {}),
    "__operators__.eq": ("Equal", ("self", "other"), {}),
    "__operators__.ne": ("NotEqual", ("self", "other"), {}),
    "math.not_equal": ("NotEqual", XY, {}),
    "math.greater": ("Greater", XY, {}),
    "math.greater_equal": ("GreaterEqual", XY, {}),
    "math.less": ("Less", XY, {}),
    "math.less_equal": ("LessEqual", XY, {}),
    "math.logical_and": ("LogicalAnd", XY, {}),
    "math.logical_or": ("LogicalOr", XY, {}),
    "math.logical_not": ("LogicalNot", A, {}),
    "math.negative": ("Negative", A, {}),
    "math.abs": ("Abs", A, {}),
    "math.sign": ("Sign", A, {}),
    "math.square": ("Square", A, {}),
    "math.sqrt": ("Sqrt", A, {}),
    "math.rsqrt": ("Rsqrt", A, {}),
    "math.exp": ("Exp", A, {}),
    "math.log": ("Log", A, {}),
    "math.log1p": ("Log1p", A, {}),
    "math.sin": ("Sin", A, {}),
    "math.cos": ("Cos", A, {}),
    "math.tanh": ("Tanh", A, {}),
    "math.sigmoid": ("Sigmoid", A, {}),
    "math.softplus": ("Softplus", ("features",), {}),
    "math.floor": ("Floor", A, {}),
    "math.ceil": ("Ceil", A, {}),
    "math.round": ("Round", A, {}),
    "math.erf": ("Erf", A, {}),
    "math.erfc": ("Erfc", A, {}),
    "math.expm1": ("Expm1", A, {}),
    "math.tan": ("Tan", A, {}),
    "math.asin": ("Arcsin", A, {}),
    "math.acos": ("Arccos", A, {}),
    "math.atan": ("Arctan", A, {}),
    "math.atan2": ("Arctan2", ("y", "x"), {}),
    "math.sinh": ("Sinh", A, {}),
    "math.cosh": ("Cosh", A, {}),
    "math.asinh": ("Arcsinh", A, {}),
    "math.acosh": ("Arccosh", A, {}),
    "math.atanh": ("Arctanh", A, {}),
    "math.is_nan": ("Isnan", A, {}),
    "math.is_inf": ("Isinf", A, {}),
    "math.is_finite": ("Isfinite", A, {}),
    "math.logical_xor": ("LogicalXor", XY, {}),
    "math.log_sigmoid": ("LogSigmoid", A, {}),
    "math.reciprocal": ("Reciprocal", A, {}),
    "math.reduce_sum": ("Sum", ("input_tensor",), AXIS),
    "math.reduce_mean": ("Mean", ("input_tensor",), AXIS),
    "math.reduce_max": ("Max", ("input_tensor",), AXIS),
    "math.reduce_min": ("Min", ("input_tensor",), AXIS),
    "math.reduce_prod": ("Prod", ("input_tensor",), AXIS),
    "math.reduce_any": ("Any", ("input_tensor",), AXIS),
    "math.reduce_all": ("All", ("input_tensor",), AXIS),
    "math.reduce_variance": ("Var", ("input_tensor",), AXIS),
    "math.reduce_std": ("Std", ("input_tensor",), AXIS),
    "math.reduce_logsumexp": ("Logsumexp", ("input_tensor",), AXIS),
    "math.reduce_euclidean_norm": ("Norm", ("input_tensor",), AXIS),
    "math.count_nonzero": ("CountNonzero", ("input",), {"axis": "axis"}),
    "math.argmax": ("Argmax", ("input",), {"axis": "axis"}),
    "math.argmin": ("Argmin", ("input",), {"axis": "axis"}),
    "math.cumsum": ("RunningSum", A, same("axis", "exclusive", "reverse")),
    "math.cumprod": ("RunningProduct", A, same("axis", "exclusive", "reverse")),
    "clip_by_norm": ("ClipByNorm", ("t",), same("clip_norm", "axes")),
    "nn.crelu": ("CRelu", ("features",), same("axis")),
    "linalg.diag": ("OnDiagonals", ("diagonal",), {}),
    "linalg.diag_part": ("Diagonals", ("input",), {}),
    "linalg.trace": ("Traces", A, {}),
    "math.l2_normalize": ("Normalize", A, {"axis": "axis"}),
    "math.top_k": ("TopK", ("input",), {"k": "k"}),
    "linalg.matmul": ("Matmul", ("a", "b"), {}),
    "tensordot": ("Tensordot", ("a", "b"), {"axes": "axes"}),
    "nn.relu": ("Relu", ("features",), {}),
    "nn.relu6": ("Relu6", ("features",), {}),
    "nn.leaky_relu": ("LeakyRelu", ("features",), {"alpha": "negative_slope"}),
    "nn.elu": ("Elu", ("features",), {}),
    "nn.selu": ("Selu", ("features",), {}),
    "nn.silu": ("Silu", ("features",), {}),
    "nn.gelu": ("Gelu", ("features",), {"approximate": "approximate"}),
    "nn.softmax": ("Softmax", ("logits",), {"axis": "axis"}),
    "nn.log_softmax": ("LogSoftmax", ("logits",), {"axis": "axis"}),
    "nn.softsign": ("Softsign", ("features",), {}),
    "clip_by_value": ("Clip", ("t",), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "cast": ("Cast", A, {"dtype": "dtype"}),
    "shape": ("ShapeOf", ("input",), {}),
    "broadcast_to": ("BroadcastAs", ("input", "shape"), {}),
    "range": ("Numbers", ("start", "limit", "delta"), {}),
    "identity": ("Copy", ("input",), {}),
    "stop_gradient": ("StopGradient", ("input",), {}),
    "where": ("Where", ("condition", "x", "y"), {}),
    "reshape": ("Reshape", ("tensor",), {"shape": "newshape"}),
    "transpose": ("Transpose", ("a",), {"perm": "axes"}),
    "expand_dims": ("ExpandDims", ("input",), {"axis": "axis"}),
    "squeeze": ("Squeeze", ("input",), {"axis": "axis"}),
    "concat": ("Concatenate", ("values",), {"axis": "axis"}),
    "stack": ("Stack", ("values",), {"axis": "axis"}),
    "unstack": ("Unstack", ("value",), {"num": "num", "axis": "axis"}),
    "split": ("Split", ("value",), {"num_or_size_splits": "indices_or_sections", "axis": "axis"}),
    "tile": ("Tile", ("input",), {"multiples": "repeats"}),
    "repeat": ("Repeat", ("input",), {"repeats": "repeats", "axis": "axis"}),
    "reverse": ("Flip", ("tensor",), {"axis": "axis"}),
    "pad": ("Pad", ("tensor", "constant_values"), {"paddings": "pad_width", "mode": "mode"}),
    "roll": ("Roll", ("input",), {"shift": "shift", "axis": "axis"}),
    "sort": ("SortBy", ("values",), same("axis", "direction")),
    "argsort": ("ArgsortBy", ("values",), same("axis", "direction")),
    "norm": ("Norm", ("tensor",), {"ord": "ord", **AXIS}),
    "gather": ("GatherBatches", ("params", "indices"), same("axis", "batch_dims")),
    "nn.embedding_lookup": ("GatherBatches", ("params", "ids"), {}),
    "one_hot": ("OneHotOf", ("indices",), same("depth", "on_value", "off_value", "axis", "dtype")),
    "zeros_like": ("ZerosLike", ("input",), {}),
    "ones_like": ("OnesLike", ("input",), {}),
    "zeros": ("Zeros", ("shape",), same("dtype")),
    "ones": ("Ones", ("shape",), same("dtype")),
    "fill": ("Filled", ("dims", "value"), {}),
    "ensure_shape": ("EnsureShape", A, same("shape")),
    "sequence_mask": ("SequenceMask", ("lengths", "maxlen"), same("dtype")),
    "strided_slice": ("StridedSlice", ("input_",), same("begin", "end", "strides", *MASKS)),
    "nn.dropout": ("DropoutNow", A, same("rate")),
    "image.resize": ("ResizeImages", ("images", "size"), same("method", "antialias")),
    "image.resize_images": ("ResizeV1", ("images", "size"), same("method", *CENTRES)),
    "image.resize_bilinear": ("ResizeV1", ("images", "size"), same(*CENTRES)),
    "image.resize_nearest_neighbor": ("ResizeNearestV1", ("images", "size"), same(*CENTRES)),
    "image.rgb_to_grayscale": ("Gray", ("images",), {}),
    "image.flip_left_right": ("FlipLeftRight", ("image",), {}),
    "image.flip_up_down": ("FlipUpDown", ("image",), {}),
    "image.crop_to_bounding_box": ("CropBox", ("image",), same(*BOX)),
    "image.pad_to_bounding_box": ("PadBox", ("image",), same(*BOX)),
    "image.central_crop": ("CentralCrop", ("image",), same("central_fraction")),
    "image.per_image_standardization": ("Standardized", ("image",), {}),
    "image.adjust_brightness": ("Brighter", ("image", "delta"), {}),
    "nn.depth_to_space": ("DepthToSpace", ("input",), same("block_size")),
    "nn.space_to_depth": ("SpaceToDepth", ("input",), same("block_size")),
    "nn.local_response_normalization": (
        "LocalResponse",
        ("input",),
        same("depth_radius", "bias", "alpha", "beta"),
    ),
    **{f"nn.max_pool{d}": ("MaxPoolNHWC", ("input",), WINDOWS) for d in ("", "1d", "2d", "3d")},
    **{f"nn.avg_pool{d}": ("AveragePoolNHWC", ("input",), WINDOWS) for d in ("", "1d", "2d", "3d")},
    "nn.conv2d": ("ConvNHWC", ("input", "filter"), same("strides", "padding", "dilations")),
    "nn.depthwise_conv2d": (
        "DepthwiseNHWC",
        ("input", "filter"),
        same("strides", "padding", "dilations"),
    ),
}
# Arguments that change nothing, or whose defaults are what we do.
IGNORED = frozenset(
    (
        *("name", "dtype", "output_type", "out_type", "validate_indices", "message", "stable"),
        *("partition_strategy", "use_cudnn_on_gpu"),
    )
)
CHANNELS_LAST = ("NWC", "NHWC", "NDHWC")
# Why a function has no rule of its own.
REASONS = {
    "einsum": "the file has only the first of its operands; use the layer EinsumDense or Dot",
}


def tf_op_lambda(layer: Layer, *tensors: Any, function: str, **arguments: Any) -> Any:
    """A TensorFlow function from the table."""
    # `tf.transpose` and others are written as what they call, `compat.v1.transpose`.
    plain = function.removeprefix("compat.v1.")
    found = FUNCTIONS.get(plain)
    if found is None:
        reason = f": {REASONS[plain]}" if plain in REASONS else ""
        raise UnsupportedError(f"TensorFlow function {shown(function)} is not supported{reason}")
    name, tensor_names, others = found
    if name == "Reshape" and any(isinstance(v, Value) for v in flatten(arguments.get("shape"))):
        name, tensor_names = "ReshapeTo", ("tensor", "shape")
    given = dict(zip(tensor_names, tensors, strict=False)) | arguments
    values = [given.pop(n) for n in tensor_names if n in given]
    if name in SPECIAL:
        values, given = SPECIAL[name](values, given)
    rule = OPERATIONS[name]
    known = parameters(rule.function)
    _require_tensors(function, rule, len(values))
    keywords: dict[str, Any] = {}
    for key, value in given.items():
        target = others.get(key)
        if target is not None:
            keywords[target] = _keyword(key, value, known[target][1])
        elif key == "data_format" and value in CHANNELS_LAST:
            continue
        elif key not in IGNORED and value is not None and value is not False:
            raise UnsupportedError(f"{function}: argument {key} {shown(value)} is not supported")
    return rule.function(layer, *values, **keywords)


def _require_tensors(function: str, rule: Rule, count: int) -> None:
    """Raise ModelFormatError if a function is given another number of tensors than it takes."""
    kinds = inspect.Parameter
    found = [p for p, _ in parameters(rule.function).values()][1:]
    plain = [p for p in found if p.kind is kinds.POSITIONAL_OR_KEYWORD]
    fewest = sum(p.default is kinds.empty for p in plain)
    most = math.inf if any(p.kind is kinds.VAR_POSITIONAL for p in found) else len(plain)
    if not fewest <= count <= most:
        raise ModelFormatError(f"{function} takes {fewest} tensors, but {count} are given")


Given = tuple[list[Any], dict[str, Any]]


def _matmul(values: list[Any], given: dict[str, Any]) -> Given:
    """`transpose_a` and `transpose_b` applied."""
    flags = [given.pop(k, False) is True for k in ("transpose_a", "transpose_b")]
    pairs = zip(values, flags, strict=False)
    swap = [common.swap_axes(elementwise.tensor(v), -1, -2) if t else v for v, t in pairs]
    return swap, given


def _split(values: list[Any], given: dict[str, Any]) -> Given:
    """Sizes of pieces as the indices where they end."""
    sizes = given.get("num_or_size_splits")
    if isinstance(sizes, list) and all(isinstance(n, int) for n in sizes):
        given = given | {"num_or_size_splits": [sum(sizes[:k]) for k in range(1, len(sizes))]}
    return values, given


def _pad(values: list[Any], given: dict[str, Any]) -> Given:
    """TensorFlow writes modes in capitals."""
    return values, given | {"mode": str(given.get("mode", "constant")).lower()}


def _norm(values: list[Any], given: dict[str, Any]) -> Given:
    """TensorFlow calls the usual norm of vectors Euclidean."""
    euclidean = given.get("ord", "euclidean") == "euclidean"
    keepdims = given.get("keepdims") or False
    return values, given | {"keepdims": keepdims, **({"ord": None} if euclidean else {})}


SPECIAL: Mapping[str, Callable[[list[Any], dict[str, Any]], Given]] = {
    "Matmul": _matmul,
    "Split": _split,
    "Pad": _pad,
    "Norm": _norm,
}


def _keyword(key: str, value: Any, annotation: Any) -> Any:
    if isinstance(value, Value):
        raise UnsupportedError(f"{key} must be known when converting, but it is a tensor")
    try:
        return convert(value, annotation)
    except ValueError as e:
        raise ModelFormatError(f"{key} must be {e}, but it is {shown(value)}") from None


def slicing_op_lambda(layer: Layer, x: Value, *, function: str = "", slice_spec: Any = None) -> Any:
    """x[...], written as a list of starts, stops and steps."""
    parts = slice_spec if isinstance(slice_spec, list) else [slice_spec]
    return shapes.get_item(layer, x, [_part(p) for p in parts])


def _part(part: Any) -> Any:
    if isinstance(part, dict) and {"start", "stop", "step"} & part.keys():
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    if part == "..." or (isinstance(part, dict) and part.get("class_name") == "__ellipsis__"):
        return ...
    return part


RULES: Mapping[str, Rule] = {
    "TFOpLambda": Rule(tf_op_lambda),
    "SlicingOpLambda": Rule(slicing_op_lambda),
}
