"""Become another program that ends when the one who started it ends, even by SIGKILL.

Run by path (``python -I -S leash.py PARENT SIGNAL PROGRAM ...``) and of the standard library
alone, so that it costs a few milliseconds. ``process.leashed`` writes that command line.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; other systems have no such thing


def main() -> None:
    """Tie this process to its parent, then replace it by the program."""
    parent, farewell, *program = sys.argv[1:]
    # a shell that starts us in the background ignores SIGINT, and that would be inherited
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the process that started this one is gone")
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
