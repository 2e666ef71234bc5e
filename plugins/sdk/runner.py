"""The inside of a plugin's own process: ``python -m plugins.sdk.runner FOLDER``.

Reads calls on standard input and answers on standard output. Both are moved away before any of the
plugin's code is loaded, so what a plugin prints goes to standard error, and what it reads is empty.
It imports as little as it can: a process starts in tens of milliseconds and stays small.
"""

import gc
import importlib.util
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from msgspec import Raw

from plugins.sdk.frames import (
    HEADER_BYTES,
    Answer,
    Failure,
    Start,
    calls_decoder,
    encoder,
    frame,
    start_decoder,
)
from plugins.sdk.manifest import Manifest, read_manifest
from plugins.sdk.types import Context, Inputs, Outputs

PR_SET_PDEATHSIG = 1  # linux/prctl.h
MESSAGE_CHARS = 500  # of a failure; the rest is in the plugin's own output

Predict = Callable[[Inputs], object]


def main() -> None:
    """Serve one plugin until the host closes the pipe."""
    folder = Path(sys.argv[1]).resolve()
    die_with_parent()
    calls, answers = take_pipes()
    limit_myself(start_decoder.decode(read_frame(calls)))
    try:
        predict = load(folder, read_manifest(folder))
    except Exception as error:
        send(answers, Answer(failure=failure_of(error, folder)))
        return
    gc.freeze()  # what is loaded now stays; no collection need walk through it again
    send(answers, Answer())
    while packed := read_frame(calls):
        for inputs in calls_decoder.decode(packed):
            send(answers, answer(predict, inputs, folder))


def answer(predict: Predict, inputs: Inputs, folder: Path) -> Answer:
    """What the plugin says to one call."""
    try:
        outputs = predict(inputs)
        if not isinstance(outputs, Outputs):
            raise TypeError(f"predict returned {type(outputs).__name__}, not Outputs")
        return Answer(outputs=Raw(encoder.encode(outputs)))
    except Exception as error:
        return Answer(failure=failure_of(error, folder))


def load(folder: Path, manifest: Manifest) -> Predict:
    """The entry of the plugin in ``folder``, after its ``setup``, if it has one."""
    assert manifest.entry is not None  # the manifest of a gateway plugin has one
    name, function = manifest.entry.split(":")
    sys.path.insert(0, str(folder))  # its other modules
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    predict: Predict = getattr(module, function)
    if setup := getattr(module, "setup", None):
        setup(Context(folder=folder, settings=manifest.settings))
    return predict


def failure_of(error: Exception, folder: Path) -> Failure:
    """``error`` as the author needs it: type, message, and the line in the plugin's own file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    for place in traceback.extract_tb(error.__traceback__):
        if place.filename.startswith(str(folder)):
            line = place.lineno
    return Failure(error=type(error).__name__, message=str(error)[:MESSAGE_CHARS], line=line)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The host's two pipes; ``print`` and ``input`` of the plugin reach neither."""
    calls, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return open(calls, "rb"), open(answers, "wb")


def read_frame(pipe: BinaryIO) -> bytes:
    """The next frame; empty when the host has closed the pipe."""
    return pipe.read(int.from_bytes(pipe.read(HEADER_BYTES), "big"))


def send(pipe: BinaryIO, message: Answer) -> None:
    """Send at once: were it held back, the host would blame the wrong call for a crash."""
    pipe.write(frame(message))
    pipe.flush()


def die_with_parent() -> None:
    """Be killed when the host dies, even in the middle of an endless loop (Linux only)."""
    if sys.platform == "linux":
        import ctypes  # here, since nothing else needs it

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_myself(limits: Start) -> None:
    """Take the host's limits, for good: what follows is the plugin's code."""
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, 0),  # what is to be kept goes through ``Outputs.state``
        (resource.RLIMIT_CORE, 0),
    ):
        ceiling = resource.getrlimit(kind)[1]
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(kind, (limit, limit))


if __name__ == "__main__":
    main()
