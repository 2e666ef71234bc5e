"""Runs what compose.yaml says without an engine: same commands, variables, users and secrets.

Only what an engine would provide is put in its place, by the small map of ``Outside.outside``:
paths of mounts, names of hosts, ports. As root, each command runs as its ``user:`` without a
capability, where that user can read this checkout; else all run as whoever runs the tests.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pawmesh.deployment.folder import Secrets
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
PORTS = ("8883", "8600", "8601", "8602")
# another one, into which the wheel was installed as the Dockerfile does, brings this yet nearer
PYTHON = os.environ.get("PAWMESH_IMAGE_PYTHON", sys.executable)


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for every container of ours."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    [line] = re.findall(r"(?m)^ENV (.*)$", text)
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def interpolated(value: Any) -> Any:
    """What the engine makes of a value where no variable is set."""
    match value:
        case dict():
            return {name: interpolated(each) for name, each in value.items()}
        case list():
            return [interpolated(each) for each in value]
        case str():
            return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")
        case _:
            return value


@dataclass
class Outside:
    """A deployment outside of containers: its secrets, and where its mounts and ports are."""

    folder: Path
    database_url: str = ""
    services: dict[str, Any] = field(default_factory=lambda: interpolated(COMPOSE["services"]))

    def __post_init__(self) -> None:
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.secrets = Secrets(self.folder / "deploy" / "secrets")

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def prepare(self, *sites: str) -> None:
        """Make the secrets by the operator's own command, and volumes of their users."""
        done = self.operator("prepare", *(word for site in sites for word in ("--site", site)))
        assert done.returncode == 0, done.stderr
        for name in self.services:
            for source, path in self.mounts(name).items():
                if not source.startswith("./") and not path.exists():
                    path.mkdir(parents=True)
                    if (uid := self.uid(name)) is not None:  # as of the image's folder
                        os.chown(path, int(uid), int(uid))
        if self.database_url:
            self.secrets.require("cloud_database_url").write_text(self.database_url)
        for site in sites:  # its name in the network of containers is not one out here
            url = self.secrets.require(f"sites/{site}/gateway_broker_url")
            url.write_text(self.outside(url.read_text().replace("@mosquitto:", "@localhost:")))

    def mounts(self, name: str) -> dict[str, Path]:
        """Where a service's volumes are, by volume."""
        return {
            source: self.folder / source if source[:2] == "./" else self.folder / "volumes" / source
            for source in (each.split(":")[0] for each in self.services[name].get("volumes", []))
        }

    def outside(self, text: str, name: str = "") -> str:
        """A text of compose.yaml or of a file that it mounts, as it is out here."""
        service = self.services.get(name, {})
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            text = text.replace(target, str(self.mounts(name)[source]))
        text = text.replace("/run/secrets", str(self.folder / "run" / name))
        text = re.sub(r"\b(cloud|gateway|mosquitto)(?=:\d)", "127.0.0.1", text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        for port, ours in self.ports.items():
            text = re.sub(rf"\b{port}\b", ours, text)
        return text

    def container(self, name: str) -> "Container":
        """What would be a container, with its secrets and configuration in place."""
        service = self.services[name]
        run = self.folder / "run" / name
        run.mkdir(parents=True, exist_ok=True)
        for each in service.get("secrets", []):
            long = each if isinstance(each, dict) else {"source": each, "target": each}
            file = self.folder / COMPOSE["secrets"][long["source"]]["file"]
            target = long["target"]
            place = Path(self.outside(target, name)) if target[0] == "/" else run / target
            place.unlink(missing_ok=True)
            shutil.copyfile(file, place)
            place.chmod(file.stat().st_mode & 0o777)
            if os.geteuid() == 0:
                os.chown(place, file.stat().st_uid, file.stat().st_gid)
        if name == "mosquitto":
            conf = self.folder / "deploy" / "mosquitto.conf"
            text = (ROOT / "deploy" / "mosquitto.conf").read_text("utf-8")
            conf.write_text(self.outside(text, name))
        return Container(name, self)

    def operator(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``docker compose run --rm operator WORDS``; as / is there, this folder is here."""
        (self.folder / "deploy").mkdir(exist_ok=True)
        return self._run("operator", [*self.services["operator"]["entrypoint"], *words])

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """``docker compose run --rm NAME``."""
        self.container(name)
        service = self.services[name]
        return self._run(name, self.as_user(name, program([*service["entrypoint"]])))

    def _run(self, name: str, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            program(argv),
            cwd=self.folder,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def environment(self, name: str) -> dict[str, str]:
        """A container's variables: the image's and the service's, and nothing of ours."""
        given = {} if name == "mosquitto" else image_environment()
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        home.chmod(0o1777)
        given |= {"PATH": os.environ["PATH"], "HOME": str(home)}  # the image's have other places
        service = self.services[name]
        return given | {k: self.outside(v, name) for k, v in service.get("environment", {}).items()}

    def as_user(self, name: str, argv: list[str]) -> list[str]:
        """A command line as the service's user with no right but its own."""
        uid = self.uid(name)
        return argv if uid is None else [*setpriv(uid), *argv]

    def uid(self, name: str) -> str | None:
        """The service's user, if we can run it as that one."""
        uid = str(self.services[name]["user"]).partition(":")[0]
        possible = os.geteuid() == 0 and shutil.which("setpriv") is not None
        return uid if possible and (name == "mosquitto" or can_read_us(uid)) else None


@dataclass
class Container:
    """One service's process, started, asked, and stopped as compose.yaml has it."""

    name: str
    stack: Outside
    process: subprocess.Popen[bytes] | None = None

    @property
    def service(self) -> dict[str, Any]:
        return self.stack.services[self.name]

    @property
    def log(self) -> Path:
        return self.stack.folder / f"{self.name}.log"

    def start(self) -> None:
        argv = program([self.stack.outside(word, self.name) for word in self.service["command"]])
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.stack.as_user(self.name, argv),
                env=self.stack.environment(self.name),
                cwd=self.stack.folder / "home",
                stdout=log,
                stderr=log,
            )

    def health(self) -> subprocess.CompletedProcess[str]:
        """Its health check, run once."""
        kind, *test = self.service["healthcheck"]["test"]
        argv = ["/bin/sh", "-c", *test] if kind == "CMD-SHELL" else test
        argv = program([self.stack.outside(word, self.name) for word in argv])
        return subprocess.run(
            self.stack.as_user(self.name, argv),
            env=self.stack.environment(self.name),
            cwd=self.stack.folder / "home",
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def healthy(self) -> None:
        """Return when the health check passes."""
        deadline = time.monotonic() + PATIENCE_S
        while (last := self.health()).returncode:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} ended: {self.said()}"
            assert time.monotonic() < deadline, f"{last.stderr}\n{self.said()}"
            time.sleep(0.2)

    def stop(self) -> int:
        """Its exit code after its stop signal."""
        assert self.process is not None
        self.process.send_signal(signal.Signals[self.service["stop_signal"]])
        grace = str(self.service.get("stop_grace_period", "10s")).removesuffix("s")
        return self.process.wait(float(grace))

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4_000:]


def program(argv: list[str]) -> list[str]:
    """A command line with the programs that stand here for those of the images."""
    name = PYTHON if argv[0] == "python" else argv[0]
    if not Path(name).is_file():
        places = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
        found = shutil.which(Path(name).name, path=places)
        assert found is not None, f"{name} is not installed"
        name = found
    return [name, *argv[1:]]


def setpriv(uid: str) -> list[str]:
    """What cap_drop, user and no-new-privileges come to."""
    return [
        *("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    ]


@cache
def can_read_us(uid: str) -> bool:
    """Whether another user could run our Python out of this checkout."""
    child = [PYTHON, "-P", "-c", "import cloud, dashboard, pawmesh.deployment.probe"]
    parent = f"import subprocess; subprocess.run({child}, check=True)"
    probe = [*setpriv(uid), PYTHON, "-P", "-c", parent]  # the services start children, too
    try:
        return subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode == 0
    except OSError:
        return False
