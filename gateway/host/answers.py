"""Reads what a plugin's process answered. Everything in it is hostile until it has passed here."""

from datetime import timedelta

import msgspec

from gateway.host.faults import FaultKind, PluginFault, ProcessEnded
from plugins.sdk.frames import Answer, answer_decoder
from plugins.sdk.types import MAX_STATE_BYTES, Inputs, Outputs

MAX_FUTURE = timedelta(minutes=5)  # by which a collar's clock may run ahead, and so its findings
MESSAGE_CHARS = 500
MAX_STATE_DEPTH = 32  # how deep Python itself goes differs by version

_outputs_decoder = msgspec.msgpack.Decoder(Outputs)
_state_encoder = msgspec.msgpack.Encoder()
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


def read_answer(packed: bytes) -> Answer:
    """The frame that a process sent.

    Raises:
        ProcessEnded: It is none of ours: the process is out of step.
    """
    try:
        return answer_decoder.decode(packed)
    except _UNREADABLE as error:
        raise ProcessEnded(FaultKind.INVALID, f"sent no answer: {error}") from None


def outputs_of(plugin_id: str, answer: Answer, inputs: Inputs) -> Outputs | PluginFault:
    """What the plugin said to ``inputs``, if it may be believed to be ``Outputs``."""
    if failure := answer.failure:
        message = printable(f"{failure.error}: {failure.message}")
        return PluginFault(plugin_id, FaultKind.RAISED, message, failure.line)
    try:
        outputs = _outputs_decoder.decode(answer.outputs)
        _check(outputs, inputs)
    except _UNREADABLE as error:
        return PluginFault(plugin_id, FaultKind.INVALID, printable(str(error)))
    return outputs


def printable(text: str) -> str:
    """``text`` from a plugin, fit for logs and pages."""
    return "".join(c if c.isprintable() else " " for c in text[:MESSAGE_CHARS])


def _is_shallow(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_shallow(each, depth - 1) for each in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_shallow(each, depth - 1) for each in value)
    return True


def _check(outputs: Outputs, inputs: Inputs) -> None:
    """Refuse what types alone let through."""
    if not _is_shallow(outputs.state, MAX_STATE_DEPTH):
        raise ValueError(f"recursion: deeper than {MAX_STATE_DEPTH} - at `$.state`")
    if outputs.state and (size := len(_state_encoder.encode(outputs.state))) > MAX_STATE_BYTES:
        raise ValueError(f"state of {size} bytes, at most {MAX_STATE_BYTES} - at `$.state`")
    latest = inputs.now + MAX_FUTURE
    for said in (*outputs.findings, *outputs.observations):
        if said.observed_at > latest:
            raise ValueError(f"observed_at {said.observed_at.isoformat()} lies in the future")
