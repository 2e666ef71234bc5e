"""How many multiplications one inference of an admitted model takes: what its energy goes by."""

import math
from functools import lru_cache
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_BY_PLACE = frozenset({schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D})
_DENSE = schema.BuiltinOperator.FULLY_CONNECTED


@lru_cache(maxsize=64)
def macs_of(canonical: bytes) -> int:
    """Multiply-accumulates of convolutions and dense layers.

    Args:
        canonical: What `plugins.sdk.admission` wrote; another file is not safe to read.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(bytearray(canonical), 0)
    graph: Any = model.subgraphs[0]
    total = 0
    for operator in graph.operators:
        code: int = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code != _DENSE and code not in _BY_PLACE:
            continue
        weights = math.prod(map(int, graph.tensors[operator.inputs[1]].shape))
        out = [int(each) for each in graph.tensors[operator.outputs[0]].shape]
        total += weights * (math.prod(out[1:-1]) if code in _BY_PLACE else 1)
    return total
