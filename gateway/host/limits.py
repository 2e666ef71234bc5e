"""What a plugin's process may use, and how it is started."""

import os
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import plugins.sdk
from plugins.sdk.manifest import Manifest

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The same for all plugins."""

    memory_bytes: int = 1024 * MIB
    """Of address space, which numpy and an interpreter reserve more of than they use."""
    cpu_s: int = 3600
    """In one process's life: ends a thread that burns between calls. Deadlines end the rest."""
    open_files: int = 64
    call_deadline_s: float = 1.0
    """For one call. The alert's own bar is 0.25 s, on a machine that is not busy."""
    start_deadline_s: float = 10.0
    """Interpreter, imports and ``setup``; a cold SD card takes seconds."""
    answer_bytes: int = 256 * 1024
    """Fits 100 findings and the state several times over."""
    crashes: int = 5
    """In a row, until the plugin is disabled."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


Launcher = Callable[[Path, Manifest], Launch]
"""Builds the command that runs the plugin in a folder. This is where a sandbox is put around it."""

_BOOT = "import sys; sys.path += sys.argv.pop(1).split({sep!r}); " + (
    "from plugins.sdk.runner import main; main()"
)


def bare_process(folder: Path, manifest: Manifest) -> Launch:
    """A plain child with an import path of its own: standard library, this SDK, site-packages.

    It keeps honest plugins apart and in bounds; it does not keep a malicious one from the files
    and the network that the gateway's user can reach.
    """
    here = Path(plugins.sdk.__file__).parents[2]  # not the copy that another checkout installed
    paths = dict.fromkeys([str(here), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    boot = _BOOT.format(sep=os.pathsep)
    # -I: no PYTHON* variables, no current folder; -S: no .pth files; -B: nothing is written
    argv = [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", boot, os.pathsep.join(paths)]
    env = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",  # a model of a collar's size gains nothing from threads
        "OPENBLAS_NUM_THREADS": "1",
    }
    return Launch([*argv, str(folder)], env, folder)
