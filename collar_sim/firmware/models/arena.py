"""How much working memory a model takes on a microcontroller, as its own interpreter says."""

import os
import re
import tempfile

import numpy as np

from collar_sim.firmware.models.classifier import MICRO_ARENA_BYTES, micro_available

_TOTAL = re.compile(rb"Arena allocation total (\d+) bytes")


def arena_bytes(canonical: bytes) -> int | None:
    """The arena's size in bytes after one inference; None where the interpreter does not exist.

    The interpreter says so on the process's own stderr, which is caught for that moment: call it
    where nobody else is writing there.

    Args:
        canonical: An admitted model.
    """
    if not micro_available():
        return None
    from tflite_micro import runtime  # here, because the wheel may not exist

    interpreter = runtime.Interpreter.from_bytes(canonical, arena_size=MICRO_ARENA_BYTES)
    shape = interpreter.get_input_details(0)["shape"]
    interpreter.set_input(np.zeros(shape, np.int8), 0)
    interpreter.invoke()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                interpreter.print_allocations()
            finally:
                os.dup2(kept, 2)
            caught.seek(0)
            found = _TOTAL.search(caught.read())
    finally:
        os.close(kept)
    return None if found is None else int(found.group(1))
