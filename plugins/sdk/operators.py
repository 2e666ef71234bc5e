"""What an operator of an admitted model may look like: one rule each, over sound tensors.

Every rule checks that the operator's numbers agree with the shapes it reads and writes, since
interpreters trust them. An operator without a rule is refused.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from plugins.sdk.errors import ModelRefused

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_MULTIPLIER = 256.0  # input scale * weight scale / output scale: beyond it int32 overflows
MIN_MULTIPLIER = 2.0**-31
MAX_KERNEL, MAX_STRIDE = 256, 16
INT8, INT32 = schema.TensorType.INT8, schema.TensorType.INT32
BYTES = {INT8: 1, INT32: 4}
OP, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions


@dataclass(frozen=True)
class Tensor:
    """What the checks need of a tensor; its own numbers are already known to be sound."""

    shape: list[int]
    type: int
    data: bytes | None
    """Of a constant."""
    scale: FloatArray | None
    zero: IntArray
    axis: int

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return math.prod(self.shape) * BYTES[self.type]


@dataclass(frozen=True)
class Use:
    """One operator with the tensors it reads and writes."""

    options: Any
    ins: list[Tensor]
    out: Tensor


def need(condition: object, reason: str) -> None:
    """Refuse the model for this reason unless the condition holds."""
    if not condition:
        raise ModelRefused(reason)


def _scale(tensor: Tensor, what: str) -> FloatArray:
    if tensor.scale is None:
        raise ModelRefused(f"{what}: not quantised")
    return tensor.scale


def _weights(n: int, use: Use, channels: int, axis: int) -> None:
    """The weights and bias of anything that multiplies."""
    x, weights, bias = use.ins
    what = f"operator {n}"
    scale = _scale(weights, what)
    need(weights.type == INT8 and (weights.zero == 0).all(), f"{what}: weights")
    need(len(scale) in (1, channels), f"{what}: weight scales")
    need(weights.axis == axis or len(scale) == 1, f"{what}: channel axis")
    need(bias.type == INT32 and bias.shape == [channels], f"{what}: bias")
    need((bias.zero == 0).all(), f"{what}: bias zero point")
    multiplier = _scale(x, what)[0] * scale / _scale(use.out, what)[0]
    fine = (multiplier < MAX_MULTIPLIER).all() and (multiplier > MIN_MULTIPLIER).all()
    need(fine, f"{what}: requantisation multiplier")
    if bias.scale is not None:
        need(len(bias.scale) in (1, channels), f"{what}: bias scales")
        agrees = np.allclose(bias.scale, _scale(x, what)[0] * scale, rtol=1e-2)
        need(agrees, f"{what}: bias scale")


def _sliding(n: int, use: Use, kernel: tuple[int, int]) -> None:
    """The geometry of anything that slides a kernel over an image."""
    x, y, options = use.ins[0].shape, use.out.shape, use.options
    strides = (options.strideH, options.strideW)
    need(len(x) == len(y) == 4 and options.padding in (0, 1), f"operator {n}: padding or rank")
    need(all(1 <= s <= MAX_STRIDE for s in strides), f"operator {n}: stride")
    need(all(1 <= k <= MAX_KERNEL for k in kernel), f"operator {n}: kernel")
    if options.padding == schema.Padding.SAME:
        size = [-(-x[i + 1] // strides[i]) for i in (0, 1)]
    else:
        size = [(x[i + 1] - kernel[i]) // strides[i] + 1 for i in (0, 1)]
    need(min(size) >= 1 and y[:3] == [1, *size], f"operator {n}: output shape {y}")


def _kernel(n: int, use: Use) -> list[int]:
    shape = use.ins[1].shape
    undilated = use.options.dilationHFactor == use.options.dilationWFactor == 1
    need(len(shape) == 4 and undilated, f"operator {n}: kernel shape or dilation")
    return shape


def _check_conv(n: int, use: Use) -> None:
    out, height, width, channels = _kernel(n, use)
    _sliding(n, use, (height, width))
    _weights(n, use, out, axis=0)
    need(channels == use.ins[0].shape[3] and use.out.shape[3] == out, f"operator {n}: channels")


def _check_depthwise(n: int, use: Use) -> None:
    one, height, width, out = _kernel(n, use)
    _sliding(n, use, (height, width))
    _weights(n, use, out, axis=3)
    multiplier = use.options.depthMultiplier
    fits = one == 1 and multiplier >= 1 and out == use.ins[0].shape[3] * multiplier
    need(fits and use.out.shape[3] == out, f"operator {n}: channels")


def _check_dense(n: int, use: Use) -> None:
    x, weights = use.ins[0].shape, use.ins[1].shape
    need(len(weights) == len(x) == 2 and x[1] == weights[1], f"operator {n}: dense shape")
    _weights(n, use, weights[0], axis=0)
    fits = use.out.shape == [1, weights[0]] and use.options.weightsFormat == 0
    need(fits, f"operator {n}: dense output")


def _check_pool(n: int, use: Use) -> None:
    x, y = use.ins[0], use.out
    _sliding(n, use, (use.options.filterHeight, use.options.filterWidth))
    what = f"operator {n}"
    same = _scale(x, what)[0] == _scale(y, what)[0] and x.zero[0] == y.zero[0]
    need(same and x.shape[3] == y.shape[3], f"{what}: pooling changes scale or channels")


def _check_mean(n: int, use: Use) -> None:
    x, axes = use.ins
    both = axes.type == INT32 and np.frombuffer(axes.data or b"", "<i4").tolist() == [1, 2]
    need(both and not use.options.keepDims, f"operator {n}: mean must be over height and width")
    need(len(x.shape) == 4 and use.out.shape == [1, x.shape[3]], f"operator {n}: mean shape")


def _check_softmax(n: int, use: Use) -> None:
    x, y = use.ins[0], use.out
    need(len(x.shape) == 2 and x.shape == y.shape, f"operator {n}: softmax shape")
    need(0.1 <= use.options.beta <= 10.0, f"operator {n}: softmax beta")
    unit = _scale(y, f"operator {n}")[0] == 1 / 256 and y.zero[0] == -128  # exactly, says TFLM
    need(unit, f"operator {n}: softmax output scale")


@dataclass(frozen=True)
class Rule:
    """What one allowed operator looks like."""

    options: int
    inputs: int
    newest: int
    """Highest version of the operator that LiteRT knows."""
    check: Callable[[int, Use], None]


RULES: dict[int, Rule] = {
    OP.CONV_2D: Rule(OPTIONS.Conv2DOptions, 3, 8, _check_conv),
    OP.DEPTHWISE_CONV_2D: Rule(OPTIONS.DepthwiseConv2DOptions, 3, 7, _check_depthwise),
    OP.FULLY_CONNECTED: Rule(OPTIONS.FullyConnectedOptions, 3, 12, _check_dense),
    OP.MAX_POOL_2D: Rule(OPTIONS.Pool2DOptions, 1, 3, _check_pool),
    OP.AVERAGE_POOL_2D: Rule(OPTIONS.Pool2DOptions, 1, 3, _check_pool),
    OP.MEAN: Rule(OPTIONS.ReducerOptions, 2, 3, _check_mean),
    OP.SOFTMAX: Rule(OPTIONS.SoftmaxOptions, 1, 3, _check_softmax),
}
