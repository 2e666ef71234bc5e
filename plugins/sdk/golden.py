"""The windows of a model's self-test: made by formula, so that only the answers need to travel.

Where a model is made, its answers to these windows are written down and signed; a collar asks the
model it received the same, on its own interpreter, before it trusts it with an animal.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from plugins.sdk.arrays import FloatArray
from plugins.sdk.errors import ModelRefused

WINDOWS = 8
TOLERANCE = 0.08  # of a score: interpreters differ by a few int8 steps, a broken model by far more
STEPS = 2.5
"""Of what is coarser, as a reconstruction: they differ by one or two, and float16 rounds."""
_CHANNELS = np.arange(6)


def golden_windows(samples: int, rate_hz: float) -> FloatArray:
    """From lying still to shaking hard, as no animal but any sensor could see it.

    Args:
        samples: Of one window.
        rate_hz: Samples per second.

    Returns:
        Shape (8, samples, 6): g and deg/s.

    >>> golden_windows(100, 25.0).shape
    (8, 100, 6)
    """
    t_s = np.arange(samples)[None, :, None] / rate_hz
    number = np.arange(WINDOWS)[:, None, None]
    beat_hz = 0.5 + 0.9 * number
    size = np.where(_CHANNELS < 3, 0.15, 30.0) * number * (1.0 + 0.2 * _CHANNELS)
    moving = size * np.sin(2.0 * np.pi * beat_hz * t_s + 0.7 * _CHANNELS + 0.3 * number)
    tilt = 0.35 * number
    still = np.concatenate(
        [np.sin(tilt), 0.2 * np.cos(tilt), np.cos(tilt), 0 * tilt, 0 * tilt, 0 * tilt], axis=2
    )
    return np.asarray(still + moving, np.float32)


def packed(answers: FloatArray) -> bytes:
    """A model's outputs for the golden windows, to be signed: float16, row by row."""
    return np.asarray(answers, "<f2").tobytes()


def output_step(canonical: bytes) -> float:
    """How far two neighbouring answers of an admitted model lie apart; 0 where it has no grid."""
    graph: Any = schema.Model.GetRootAs(canonical, 0).Subgraphs(0)
    grid = graph.Tensors(graph.Outputs(0)).Quantization()
    return float(grid.Scale(0)) if grid is not None and grid.ScaleLength() else 0.0


def require_agreement(expected: bytes, answers: FloatArray, step: float) -> None:
    """Check a model's outputs against what was signed.

    Args:
        expected: As `packed` gave them.
        answers: Shape (8, outputs).
        step: Of the model's output, see `output_step`.

    Raises:
        ModelRefused: They differ by more than interpreters do.
    """
    if len(expected) != 2 * answers.size:
        raise ModelRefused(f"{answers.size} answers, {len(expected) // 2} were signed")
    signed = np.frombuffer(expected, "<f2").reshape(answers.shape).astype(np.float32)
    worst = float(np.max(np.abs(signed - answers), initial=0.0))
    if not worst <= max(TOLERANCE, STEPS * step):  # a NaN is no agreement
        raise ModelRefused(f"an answer of the self-test is {worst:.2f} away from the signed one")
