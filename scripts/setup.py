"""Set up Pawmesh: ``.venv`` in the checkout, filled with the pinned packages.

``python3 -E -s scripts/setup.py [--set platform|dev] [--system]``; the Makefile calls it. Needs
nothing but a Python that can start it, and says plainly what is missing. A finished set-up is
recognised in an instant, an interrupted one is begun anew.

Exit codes: 0 set up, 1 the packages could not be installed, 3 something to install is missing,
6 permission or disk.
"""

from __future__ import annotations  # an older Python gets as far as our message about it

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parent.parent
OLDEST, TOO_NEW = (3, 11), (3, 14)  # as `requires-python` in pyproject.toml
PYTHONS = ("python3.13", "python3.12", "python3.11", "python3")

# what `make test` needs of the system: the Debian package, and the commands that stand for it
SYSTEM = {
    "mosquitto": ("mosquitto",),
    "mosquitto-clients": ("mosquitto_sub",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "bubblewrap": ("bwrap",),
}
ALSO_LOOK_IN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on an ordinary user's PATH

# the sets of packages, small to large, with the room they take while they are installed
SETS = {"platform": 2_000, "dev": 5_000}  # MB

FOREIGN = ("VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_DEPS")
PROBE = """
import sys
try:
    import ensurepip, venv
    whole = 1
except ImportError:
    whole = 0
print(*sys.version_info[:2], whole, getattr(sys, "_base_executable", sys.executable))
"""
STAMP = "pawmesh-setup.json"


class Stop(Exception):
    """The set-up cannot go on; the message says why and what to do."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Python:
    """An interpreter on this machine."""

    command: str
    """The name it goes by on PATH."""
    version: tuple[int, int]
    whole: bool
    """Whether it can make virtual environments, which Debian packs apart."""
    path: str

    @property
    def fits(self) -> bool:
        """Whether Pawmesh runs on this version."""
        return OLDEST <= self.version < TOO_NEW

    @property
    def venv_package(self) -> str:
        """The Debian package that makes it whole."""
        return "python3-venv" if self.command == "python3" else f"{self.command}-venv"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks and return the exit code."""
    parser = argparse.ArgumentParser(description="Set up .venv in the checkout.")
    parser.add_argument("--set", choices=SETS, default="dev", help="what to install")
    parser.add_argument("--system", action="store_true", help="also what the tests need of Debian")
    options = parser.parse_args(arguments)
    try:
        packages = missing_programs() if options.system else []
        done = is_done(ROOT, options.set)
        if not done:
            python = choose(pythons())
            packages = missing_python(python) + packages
        if packages:
            install_packages(packages)
        if not done:
            set_up(options.set)
    except Stop as stop:
        print(f"\nset-up: {stop}", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        print("\nset-up: interrupted; the next run begins anew", file=sys.stderr)
        return 130
    return 0


def pythons() -> list[Python]:
    """The interpreters on PATH that really start (a shim may not)."""
    found: list[Python] = []
    for command in PYTHONS:
        try:
            said = subprocess.run(
                [command, "-I", "-c", PROBE], capture_output=True, text=True, check=True, timeout=60
            ).stdout.split(maxsplit=3)
        except (OSError, subprocess.SubprocessError):
            continue
        version = (int(said[0]), int(said[1]))
        found.append(Python(command, version, said[2] == "1", said[3].strip()))
    return found


def choose(found: list[Python]) -> Python | None:
    """The newest that fits, one that can make virtual environments first; None without any.

    >>> old, new = Python("python3", (3, 11), True, ""), Python("python3.13", (3, 13), False, "")
    >>> choose([new, old]).command
    'python3'
    """
    fitting = [python for python in found if python.fits]
    return max(fitting, key=lambda python: (python.whole, python.version), default=None)


def missing_python(python: Python | None) -> list[str]:
    """The Debian packages without which there is no virtual environment."""
    if python is None:
        return ["python3.11", "python3.11-venv"]
    return [] if python.whole else [python.venv_package]


def missing_programs() -> list[str]:
    """The Debian packages of which no command is here."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *ALSO_LOOK_IN))
    return [
        package
        for package, commands in SYSTEM.items()
        if not any(shutil.which(command, path=path) for command in commands)
    ]


def install_packages(packages: list[str]) -> None:
    """As root on Debian, install them; for anyone else, name the one command that does."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise Stop(3, f"missing: {names} (Debian's names). Install them with your package manager")
    if os.geteuid() != 0:
        shell = "sudo sh" if shutil.which("sudo") else "su root"
        command = f"{shell} -c 'apt-get update && apt-get install -y {names}'"
        raise Stop(3, f"missing: {names}. This installs them:\n\n    {command}\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    step = Step(f"install Debian's {names}")
    subprocess.run(["apt-get", "-q", "update"], env=environment, check=False)
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    code, said = run_and_listen(install, environment)
    if code:
        raise Stop(6 if is_full(said) else 3, f"apt-get could not install {names}, see above")
    step.done()


def is_done(root: Path, wanted: str) -> bool:
    """Whether an earlier run set up this set, or a larger one, from these very pins."""
    stamp = read_stamp(root)
    sets = list(SETS)
    return (
        stamp.get("digest") == digest(root)
        and stamp.get("set") in sets[sets.index(wanted) :]
        and (root / ".venv/bin/python").exists()
    )


def digest(root: Path) -> str:
    """Changes with whatever a set-up rests on; a moved checkout counts as another."""
    total = hashlib.sha256(str(root).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        total.update((root / name).read_bytes())
    return total.hexdigest()


def read_stamp(root: Path) -> dict[str, str]:
    """What the last set-up wrote: nothing, ``begun`` or what it finished."""
    try:
        found = json.loads((root / ".venv" / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def must_begin_anew(root: Path) -> bool:
    """Whether ``.venv`` is of no use: half-done, moved, or without an interpreter that starts.

    One that another tool made, or a link to one, is completed and never removed.
    """
    folder = root / ".venv"
    if folder.is_symlink():
        return False
    stamp = read_stamp(root)
    if "begun" in stamp or stamp.get("root", str(root)) != str(root):
        return True
    try:
        started = subprocess.run(
            [folder / "bin/python", "-I", "-m", "pip", "--version"],
            capture_output=True,
            check=False,
        )
    except OSError:
        return True
    return started.returncode != 0


def set_up(wanted: str) -> None:
    """Make or complete ``.venv``; only one set-up of a checkout runs at a time."""
    root = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another one is under way here; waiting for it", flush=True)
            fcntl.flock(root, fcntl.LOCK_EX)
        if not is_done(ROOT, wanted):
            fill(wanted)
    except OSError as error:
        raise Stop(
            6, f"cannot use {error.filename or ROOT}: {error.strerror}. Make it yours, or make room"
        ) from error
    finally:
        os.close(root)


def fill(wanted: str) -> None:
    """Make ``.venv`` if need be, install the set, and stamp it."""
    folder = ROOT / ".venv"
    stamp = folder / STAMP
    if not os.access(ROOT, os.W_OK):
        raise Stop(6, f"{ROOT} cannot be written. Clone Pawmesh into a folder of your own")
    anew = must_begin_anew(ROOT)
    if not anew and read_stamp(ROOT).get("set") == "dev":
        wanted = "dev"  # what is there stays complete
    room = shutil.disk_usage(ROOT).free // 1_000_000
    if anew and room < SETS[wanted]:
        raise Stop(6, f"{ROOT} needs {SETS[wanted]} MB of room, {room} MB are free")
    if anew:
        python = choose(pythons())
        if python is None or not python.whole:
            raise Stop(3, f"Python 3.11 to 3.13 with its venv module is missing (found: {python})")
        step = Step(f"make .venv with Python {python.version[0]}.{python.version[1]}")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        stamp.write_text('{"begun": ""}')
        code, said = run_and_listen([python.path, "-I", "-m", "venv", str(folder)], environment())
        if code:
            raise Stop(6 if is_full(said) else 1, "the virtual environment could not be made")
        step.done()
    stamp.write_text('{"begun": ""}')
    step = Step(f"install pawmesh[{wanted}] and the pinned packages it needs")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
    code, said = run_and_listen([*pip, "--no-input", "-e", f".[{wanted}]"], environment())
    if code:
        raise Stop(*explain(said))
    finished = {"set": wanted, "digest": digest(ROOT), "root": str(ROOT)}
    stamp.write_text(json.dumps(finished))
    step.done()


def environment() -> dict[str, str]:
    """Ours without what would lead pip elsewhere, and with the pins for builds too."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN and not name.startswith("PYTHON")
    }
    pins = "constraints.txt"  # relative, since pip splits the variable at spaces
    return {**kept, "PIP_CONSTRAINT": pins, "PIP_BUILD_CONSTRAINT": pins, "PIP_USER": "0"}


def explain(said: str) -> tuple[int, str]:
    """Exit code and sentence for what pip said last.

    >>> explain("ERROR: [Errno 28] No space left on device")[0]
    6
    """
    if is_full(said):
        return 6, f"the disk is full: make room in {ROOT}, in pip's cache and in TMPDIR"
    if "Permission denied" in said:
        return 6, "a folder cannot be written, see above"
    no_answer = (
        "Max retries",
        "from versions: none",
        "name resolution",
        "NewConnectionError",
        "timed out",
        "SSLError",
    )
    if any(word in said for word in no_answer):
        return 1, "the package registry does not answer; check the network and pip's settings"
    return 1, "pip could not install the packages, see above"


def is_full(said: str) -> bool:
    """Whether a program complained of the disk."""
    return "No space left" in said or "Disk quota exceeded" in said


def run_and_listen(command: list[str], variables: dict[str, str]) -> tuple[int, str]:
    """Run a program in the checkout; its exit code, and the end of what it complained.

    Its output is not touched, so that a terminal sees its progress bars.
    """
    heard: deque[str] = deque(maxlen=60)
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as program:

        def listen() -> None:
            for line in program.stderr or ():
                heard.append(line)
                sys.stderr.write(line)
                sys.stderr.flush()

        listener = Thread(target=listen)
        listener.start()
        code = program.wait()
        listener.join()
    return code, "".join(heard)


class Step:
    """One line when a step begins and one, with its time, when it is done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        print(f"set-up: {what} ...", flush=True)

    def done(self) -> None:
        """Say that it is."""
        print(f"set-up: {self._what}: done in {time.monotonic() - self._began:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
