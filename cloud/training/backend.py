"""TensorFlow, imported late, quietly, and made repeatable; and its way to int8."""

import contextlib
import io
import os
import warnings
from typing import Any

import numpy as np

from plugins.sdk.arrays import FloatArray

REPRESENTATIVE = 400  # windows that set the int8 grids, spread over all classes and animals


def load(seed: int) -> tuple[Any, Any]:
    """Keras and TensorFlow, seeded; imported here, since that takes seconds and a gigabyte.

    The same seed, data, machine type and TensorFlow give the same bytes: operations are
    deterministic and single-threaded. Another CPU may add floats in another order.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its kernels depend on the CPU model
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow's own imports; none is ours to act on
        import keras
        import tensorflow as tf

    keras_: Any = keras
    tf_: Any = tf
    keras_.utils.set_random_seed(seed)
    tf_.config.experimental.enable_op_determinism()
    return keras_, tf_


def to_int8(model: Any, inputs: FloatArray, tf: Any, *, scale_per_neuron: bool = True) -> bytes:
    """The model as a full-int8 .tflite.

    Args:
        model: Of Keras.
        inputs: Examples of every class: the int8 grids are set by what they reach.
        tf: From `load`.
        scale_per_neuron: Whether the neurons of a dense layer have scales of their own; they take
            24 B each.
    """
    chosen = inputs[np.linspace(0, len(inputs) - 1, min(REPRESENTATIVE, len(inputs))).astype(int)]

    def examples() -> Any:
        for row in chosen:
            yield [row[None]]

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # Keras prints its whole signature; the converter warns that it "expected statistics for
        # quantized inputs", which the examples give it
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        coarse = not scale_per_neuron
        converter._experimental_disable_per_channel_quantization_for_dense_layers = coarse  # noqa: SLF001 - it has no public switch
        return bytes(converter.convert())
