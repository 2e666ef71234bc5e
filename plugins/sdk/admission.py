"""Which .tflite may run: an allow-list over everything in the file, and a canonical copy of it.

Neither interpreter is a validator: field-corrupted files crashed one in five times. So the file is
read by pure Python, each number in it is checked against what the operators need, and what
interpreters load is not the file but a new one, written from what was checked.
"""

import math
from typing import Any

import flatbuffers  # pyright: ignore[reportMissingTypeStubs] - no types are published
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from plugins.sdk.errors import ModelMisfit, ModelRefused, ModelTooLarge
from plugins.sdk.manifest import Budget
from plugins.sdk.operators import BYTES, INT8, RULES, FloatArray, IntArray, Tensor, Use, need

MAX_FILE_BYTES = 1 << 18  # bounds the work of reading; a collar's budget is far below
MAX_TENSORS, MAX_OPERATORS, MAX_CODES = 64, 32, 16
MAX_BUFFERS = 2 * MAX_TENSORS + 4
MAX_METADATA, MAX_SIGNATURES = 16, 4  # dropped from the copy, but reading them must end too
MAX_DIM, MAX_ELEMENTS = 4096, 1 << 18
MIN_SCALE, MAX_SCALE = 1e-12, 1e6
PLAIN_ACTIVATIONS = (0, 1, 3)  # none, relu, relu6


def admit(
    raw: bytes, budget: Budget, *, input_shape: tuple[int, ...] | None = None, outputs: int
) -> bytes:
    """The canonical form of an untrusted .tflite, safe to load.

    Args:
        raw: The file.
        budget: Limits of the canonical form's size, and of the memory its activations need.
        input_shape: What the host will feed, batch 1 included; None accepts any.
        outputs: How many numbers the host expects back.

    Raises:
        ModelRefused: With the reason.
    """
    need(8 < len(raw) <= MAX_FILE_BYTES, f"file is {len(raw)} B, at most {MAX_FILE_BYTES} are read")
    need(raw[4:8] == b"TFL3", "not a TFL3 flatbuffer")
    try:
        _bounded(raw)
        model: Any = schema.ModelT.InitFromPackedBuf(bytearray(raw), 0)
        arena_bytes = _check(model, input_shape, outputs)
        canonical = _canonical(model)
    except ModelRefused:
        raise
    except Exception as error:  # the generated reader raises anything at all on a bad offset
        raise ModelRefused(f"malformed flatbuffer: {type(error).__name__}: {error}") from None
    if len(canonical) > budget.flash_bytes:
        raise ModelTooLarge(
            f"model is {len(canonical)} B, its budget is {budget.flash_bytes} B of flash"
        )
    if arena_bytes > budget.arena_bytes:
        raise ModelTooLarge(
            f"activations need {arena_bytes} B, the budget is {budget.arena_bytes} B of arena"
        )
    return canonical


def _bounded(raw: bytes) -> None:
    """Refuse tables whose reading would not end soon: a few bytes can point at one table a lot."""
    model: Any = schema.Model.GetRootAs(raw, 0)
    need(model.Version() == 3, "schema version is not 3")
    need(model.SubgraphsLength() == 1, "exactly one subgraph is allowed")
    need(model.OperatorCodesLength() <= MAX_CODES, "too many operator codes")
    need(model.BuffersLength() <= MAX_BUFFERS, "too many buffers")
    need(model.MetadataLength() <= MAX_METADATA, "too much metadata")
    need(model.MetadataBufferLength() <= MAX_METADATA, "too much metadata")
    need(model.SignatureDefsLength() <= MAX_SIGNATURES, "too many signatures")
    external = model.ExternalBuffersLength() or model.ExternalBufferGroupsLength()
    need(not external, "external buffers are not allowed")
    for n in range(model.SignatureDefsLength()):
        ends = max(model.SignatureDefs(n).InputsLength(), model.SignatureDefs(n).OutputsLength())
        need(ends <= 1, f"signature {n}: one input, one output")
    graph = model.Subgraphs(0)
    need(0 < graph.TensorsLength() <= MAX_TENSORS, "too many tensors, or none")
    need(0 < graph.OperatorsLength() <= MAX_OPERATORS, "too many operators, or none")
    for n in range(graph.TensorsLength()):
        tensor = graph.Tensors(n)
        odd = tensor.Sparsity() is not None or tensor.VariantTensorsLength()
        need(not odd, f"tensor {n}: sparse or variant")
    for n in range(graph.OperatorsLength()):
        need(not graph.Operators(n).BuiltinOptions2Type(), f"operator {n}: unknown options")


def _check(model: Any, input_shape: tuple[int, ...] | None, outputs: int) -> int:
    """Check everything, and return the bytes that activations need at the worst moment."""
    graph: Any = model.subgraphs[0]
    tensors = [_tensor(n, table, model.buffers) for n, table in enumerate(graph.tensors)]
    count = len(tensors)
    ins, outs = _indices(graph.inputs), _indices(graph.outputs)
    need(len(ins) == len(outs) == 1, "one input, one output")
    first, last = ins[0], outs[0]
    need(0 <= first < count and 0 <= last < count, "input or output does not exist")
    source = tensors[first]
    need(source.data is None and source.type == INT8, "input must be int8 and not constant")
    need(source.shape[0] == 1, "batch must be 1")
    need(source.scale is not None, "input is not quantised")
    if input_shape is not None and source.shape != list(input_shape):
        raise ModelMisfit(f"input is {source.shape}, the host feeds {list(input_shape)}")
    known = {first}
    last_use = {first: 0, last: len(graph.operators)}
    made: dict[int, int] = {first: 0}
    for n, operator in enumerate(graph.operators):
        code, use, read, out = _operator(n, operator, model.operatorCodes, tensors)
        flows = read[0] in known and all(tensors[i].data is not None for i in read[1:])
        need(flows, f"operator {n}: reads what nobody computed")
        fresh = out not in known and tensors[out].data is None
        need(fresh, f"operator {n}: writes what is already there")
        RULES[code].check(n, use)
        known.add(out)
        made[out] = n
        last_use[read[0]] = max(last_use.get(read[0], 0), n)
    need(last in known and last != first, "the output is never computed")
    if tensors[last].shape != [1, outputs]:
        raise ModelMisfit(f"output is {tensors[last].shape}, not [1, {outputs}]")
    return max(
        sum(tensors[i].bytes for i in known if made[i] <= n <= last_use.get(i, made[i]))
        for n in range(len(graph.operators))
    )


def _indices(table: Any) -> list[int]:
    return [] if table is None else [int(i) for i in table]


def _tensor(n: int, table: Any, buffers: list[Any]) -> Tensor:
    need(table.type in BYTES, f"tensor {n}: type {table.type} is neither int8 nor int32")
    plain = not table.isVariable and not getattr(table, "externalBuffer", 0)
    need(plain, f"tensor {n}: variable or external")
    shape = [] if table.shape is None else [int(d) for d in table.shape]
    sized = 1 <= len(shape) <= 4 and all(1 <= d <= MAX_DIM for d in shape)
    need(sized and math.prod(shape) <= MAX_ELEMENTS, f"tensor {n}: shape {shape}")
    if table.shapeSignature is not None and len(table.shapeSignature):
        signature = [int(d) for d in table.shapeSignature]
        fits = signature[1:] == shape[1:] and signature[0] in (-1, shape[0])
        need(fits, f"tensor {n}: shape signature {signature}")
    need(0 <= table.buffer < len(buffers), f"tensor {n}: buffer index")
    buffer = buffers[table.buffer]
    need(not buffer.offset and not buffer.size, f"tensor {n}: data outside the file")
    data = None if buffer.data is None or len(buffer.data) == 0 else bytes(bytearray(buffer.data))
    if data is not None:
        size = math.prod(shape) * BYTES[table.type]
        need(len(data) == size, f"tensor {n}: {len(data)} data bytes for shape {shape}")
    scale, zero, axis = _quantisation(n, table.quantization, shape)
    return Tensor(shape, table.type, data, scale, zero, axis)


def _quantisation(n: int, table: Any, shape: list[int]) -> tuple[FloatArray | None, IntArray, int]:
    if table is None or table.scale is None or not len(table.scale):
        return None, np.zeros(0, np.int64), 0
    need(table.details is None and not table.detailsType, f"tensor {n}: custom quantisation")
    with np.errstate(invalid="ignore"):  # a signalling NaN; refused just below
        scale = np.array(table.scale, np.float64)
    zero = np.array([] if table.zeroPoint is None else table.zeroPoint, np.int64)
    need(len(zero) == len(scale), f"tensor {n}: {len(zero)} zero points, {len(scale)} scales")
    sane = np.isfinite(scale).all() and (scale > MIN_SCALE).all() and (scale < MAX_SCALE).all()
    need(sane and (np.abs(zero) <= 128).all(), f"tensor {n}: scale or zero point out of range")
    axis = int(table.quantizedDimension)
    fits = 0 <= axis < len(shape) and len(scale) in (1, shape[axis])
    need(fits, f"tensor {n}: {len(scale)} scales for shape {shape}")
    return scale, zero, axis


def _operator(
    n: int, table: Any, codes: list[Any], tensors: list[Tensor]
) -> tuple[int, Use, list[int], int]:
    need(0 <= table.opcodeIndex < len(codes), f"operator {n}: code index")
    entry = codes[table.opcodeIndex]
    code = max(entry.builtinCode, entry.deprecatedBuiltinCode)
    need(code in RULES and not entry.customCode, f"operator {n}: code {code} is not allowed")
    rule = RULES[code]
    need(1 <= entry.version <= rule.newest, f"operator {n}: version {entry.version}")
    options = table.builtinOptions
    need(table.builtinOptionsType == rule.options and options is not None, f"operator {n}: options")
    extras = [table.customOptions, table.intermediates]
    plain = all(x is None or len(x) == 0 for x in extras)
    plain = plain and not getattr(table, "largeCustomOptionsOffset", 0)
    mutated = table.mutatingVariableInputs is not None and any(table.mutatingVariableInputs)
    need(plain and not mutated, f"operator {n}: custom options or variables")
    ins, outs = _indices(table.inputs), _indices(table.outputs)
    need(len(ins) == rule.inputs and len(outs) == 1, f"operator {n}: {len(ins)} inputs")
    need(all(0 <= i < len(tensors) for i in [*ins, *outs]), f"operator {n}: tensor index")
    use = Use(options, [tensors[i] for i in ins], tensors[outs[0]])
    for activation in (use.ins[0], use.out):
        single = activation.scale is not None and len(activation.scale) == 1
        need(activation.type == INT8 and single, f"operator {n}: activations must be int8")
    fused = getattr(options, "fusedActivationFunction", 0)
    need(fused in PLAIN_ACTIVATIONS, f"operator {n}: fused activation {fused}")
    return code, use, ins, outs[0]


def _canonical(model: Any) -> bytes:
    """A new file with what was checked and nothing else: no names, metadata or signatures."""
    model.description = "admitted"
    model.metadata = model.metadataBuffer = model.signatureDefs = None
    graph = model.subgraphs[0]
    graph.name = "main"
    graph.debugMetadataIndex = -1
    for n, tensor in enumerate(graph.tensors):
        tensor.name = f"t{n}"
        if tensor.quantization is not None:
            tensor.quantization.min = tensor.quantization.max = None
    builder = flatbuffers.Builder(len(model.buffers))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
