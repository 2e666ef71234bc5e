"""An int8 model as the cloud runs it: to judge it, and to write down its golden answers.

Without LiteRT's delegates: on the shipped models its plain kernels answer as the microcontroller's
interpreter does, to the last step of int8.
"""

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from plugins.sdk.arrays import FloatArray
from plugins.sdk.features import prepare
from plugins.sdk.golden import golden_windows
from plugins.sdk.manifest import Model

BATCH = 1_024  # windows at once: bounds memory, and more would not be quicker


def answers(model: Model, content: bytes, windows: FloatArray) -> FloatArray:
    """The model's outputs for windows, quantised on their way in and out as on a collar.

    Args:
        model: From the manifest.
        content: The admitted .tflite: an interpreter is never given other bytes.
        windows: Shape (n, samples, 6): g and deg/s.

    Returns:
        Shape (n, outputs).
    """
    interpreter: Any = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = source["quantization"]
    out_scale, out_zero = sink["quantization"]
    parts: list[FloatArray] = []
    for first in range(0, len(windows), BATCH):
        inputs = prepare(model, windows[first : first + BATCH])
        interpreter.resize_tensor_input(source["index"], inputs.shape)
        interpreter.allocate_tensors()
        counts = np.rint(inputs / np.float32(scale)) + zero
        interpreter.set_tensor(source["index"], np.clip(counts, -128, 127).astype(np.int8))
        interpreter.invoke()
        outputs = interpreter.get_tensor(sink["index"]).astype(np.float32)
        parts.append((outputs - np.float32(out_zero)) * np.float32(out_scale))
    width = int(sink["shape"][-1])
    return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)


def golden_answers(model: Model, content: bytes) -> FloatArray:
    """What the model answers to the windows of the self-test."""
    return answers(model, content, golden_windows(model.samples, model.rate_hz))
