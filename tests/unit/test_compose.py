"""compose.yaml and Dockerfile say only what is there: no engine is needed to see that.

What the commands do when they run is in tests/system/test_compose.py.
"""

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pip._internal.commands import create_command
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from cloud.settings import Settings as CloudSettings
from dashboard.settings import Settings as DashboardSettings
from gateway.main import Settings as GatewaySettings
from pawmesh.deployment import folder as deployment
from pawmesh.deployment.commands import deploy_app
from pawmesh.deployment.folder import Secrets

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STANDARD = Draft7Validator(
    json.loads((ROOT / "tests" / "data" / "compose-spec.schema.json").read_text("utf-8"))
)
SETTINGS: dict[str, type[BaseSettings]] = {
    "CLOUD_": CloudSettings,
    "GATEWAY_": GatewaySettings,
    "DASHBOARD_": DashboardSettings,
}
OF_SERVICE = {"cloud": "CLOUD_", "gateway": "GATEWAY_", "dashboard": "DASHBOARD_"}
ON_REQUEST = {"trainer": "training", "operator": "operator"}
OURS = (*OF_SERVICE, *ON_REQUEST)
LASTING = [name for name in SERVICES if name not in ON_REQUEST]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def interpolated(text: str) -> str:
    """A value as the engine has it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


def unknown_variables(service: dict[str, Any]) -> list[str]:
    """Variables of our prefixes that are no setting."""
    known = {
        f"{prefix}{name}".upper()
        for prefix, settings in SETTINGS.items()
        for name in settings.model_fields
    }
    given = service.get("environment", {})
    return [name for name in given if name.startswith(tuple(SETTINGS)) and name not in known]


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """Path inside the container by the secret's name."""
    mounted: dict[str, str] = {}
    for each in service.get("secrets", []):
        long = each if isinstance(each, dict) else {"source": each, "target": each}
        target = long.get("target", long["source"])
        mounted[long["source"]] = target if target[0] == "/" else f"/run/secrets/{target}"
    return mounted


def uid_of(service: dict[str, Any]) -> int:
    return int(service["user"].partition(":")[0])


def instructions() -> Iterator[tuple[str, str]]:
    """Keyword and rest of each instruction of the Dockerfile."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest


class TestCompose:
    def test_it_is_a_compose_file(self) -> None:
        assert not [error.message for error in STANDARD.iter_errors(COMPOSE)]

    @pytest.mark.parametrize(
        "part", [{"services": {"x": {"imagee": "y"}}}, {"service": {}}, {"services": {"x": []}}]
    )
    def test_the_standard_would_refuse_what_is_none(self, part: dict[str, Any]) -> None:
        assert not STANDARD.is_valid(COMPOSE | part)

    @pytest.mark.parametrize("name", list(SERVICES))
    def test_every_service_has_the_rights_it_needs_and_no_more(self, name: str) -> None:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert "privileged" not in service
        assert service.get("cap_add", []) == (
            ["CHOWN", "DAC_OVERRIDE"] if name == "operator" else []
        )
        assert (uid_of(service) == 0) == (name == "operator")

    @pytest.mark.parametrize("name", LASTING)
    def test_what_lasts_is_watched_limited_and_started_again(self, name: str) -> None:
        service = SERVICES[name]
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["restart"] == "unless-stopped"
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
        if name in OURS:
            assert service["stop_signal"] == "SIGINT"

    def test_what_runs_on_request_is_not_started_otherwise(self) -> None:
        for name, profile in ON_REQUEST.items():
            assert SERVICES[name]["profiles"] == [profile]
            assert SERVICES[name]["restart"] == "no"
        assert not [name for name in LASTING if "profiles" in SERVICES[name]]

    def test_ports_are_published_to_this_machine_unless_told_otherwise(self) -> None:
        published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
        assert set(published) == {"mosquitto", "cloud", "gateway", "dashboard"}
        for ports in published.values():
            for port in ports:
                assert interpolated(port).startswith("127.0.0.1:"), port

    def test_only_the_cloud_and_its_trainer_reach_the_database(self) -> None:
        near = [name for name, s in SERVICES.items() if "database" in s.get("networks", [])]
        assert sorted(near) == ["cloud", "database", "trainer"]
        assert SERVICES["database"]["networks"] == ["database"]
        assert COMPOSE["networks"]["database"] == {"internal": True}
        assert not [
            n
            for n in SERVICES
            if "broker" in SERVICES[n]["networks"] and n in ("cloud", "dashboard", "database")
        ]

    def test_images_of_others_are_of_one_version(self) -> None:
        for name in ("mosquitto", "database"):
            assert re.search(r":\d+\.\d+\.\d+(-pg\d+)?$", SERVICES[name]["image"]), name
        version = PYPROJECT["project"]["version"]
        images = {name: SERVICES[name]["image"] for name in OURS}
        assert images.pop("trainer") == f"pawmesh-trainer:{version}"
        assert set(images.values()) == {f"pawmesh:{version}"}
        assert {SERVICES[name]["build"] for name in images} == {"."}

    @pytest.mark.parametrize("name", list(SERVICES))
    def test_every_variable_of_ours_is_a_setting(self, name: str) -> None:
        assert unknown_variables(SERVICES[name]) == []

    def test_a_misspelt_variable_is_noticed(self) -> None:
        wrong = {"environment": {"CLOUD_DATABSE_WAIT_S": "1", "GATEWAY_SITE": "home", "PATH": "/"}}
        assert unknown_variables(wrong) == ["CLOUD_DATABSE_WAIT_S"]

    @pytest.mark.parametrize("name", list(OF_SERVICE))
    def test_the_settings_take_every_value(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings, prefix = SETTINGS[OF_SERVICE[name]], OF_SERVICE[name]
        environment = SERVICES[name]["environment"]
        assert {v for v in environment if not v.startswith(prefix)} <= {"PAWMESH_SECRETS_DIR"}
        for variable, value in environment.items():
            assert isinstance(value, str), f"{variable}: the engine would make it another type"
            monkeypatch.setenv(variable, interpolated(value))
        read = settings(**({"database_url": "postgresql://x"} if name == "cloud" else {}))
        assert getattr(read, "host") == "0.0.0.0"  # noqa: B009 - of any of three types
        port = environment[f"{prefix}PORT"]
        assert SERVICES[name]["ports"][0].endswith(f":{port}:{port}")
        assert f":{port}/" in SERVICES[name]["healthcheck"]["test"][-1]
        monkeypatch.setenv(f"{prefix}PORT", "no port")
        with pytest.raises(ValidationError):
            settings()

    def test_variables_of_the_operator_are_read_by_the_operators_commands(self) -> None:
        source = (ROOT / "pawmesh" / "deployment" / "commands.py").read_text("utf-8")
        for variable in SERVICES["operator"]["environment"]:
            assert f'env_var="{variable}"' in source

    @pytest.mark.parametrize("name", OURS)
    def test_every_command_is_a_module_of_ours(self, name: str) -> None:
        service = SERVICES[name]
        commands = [service.get("entrypoint") or service["command"]]
        commands += [service["healthcheck"]["test"][1:]] if name in OF_SERVICE else []
        for command in commands:
            assert command[:3] == ["python", "-P", "-m"]
            found = importlib.util.find_spec(command[3])
            assert found is not None
            assert found.origin is not None
            assert Path(found.origin).is_relative_to(ROOT)

    def test_volumes_are_declared_and_used(self) -> None:
        used = {
            each.partition(":")[0]
            for service in SERVICES.values()
            for each in service.get("volumes", [])
        }
        assert {each for each in used if not each.startswith("./")} == set(COMPOSE["volumes"])
        for each in used:
            assert not each.startswith("./") or (ROOT / each).exists(), each


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    Secrets(folder).prepare(["home"], [])
    return folder


class TestSecrets:
    def test_every_file_is_one_that_prepare_makes(self, prepared: Path) -> None:
        for name, secret in COMPOSE["secrets"].items():
            path = Path(secret["file"])
            assert (prepared / path.relative_to("deploy/secrets")).is_file(), name

    def test_what_no_container_needs_is_given_to_none(self, prepared: Path) -> None:
        made = {str(p.relative_to(prepared)) for p in prepared.rglob("*") if p.is_file()}
        mounted = {
            str(Path(s["file"]).relative_to("deploy/secrets")) for s in COMPOSE["secrets"].values()
        }
        assert made - mounted == {"ca.key", "sites/home/collars.password"}

    def test_every_secret_is_declared_and_used(self) -> None:
        used = {name for service in SERVICES.values() for name in secrets_of(service)}
        assert used == set(COMPOSE["secrets"])

    @pytest.mark.parametrize("name", list(SERVICES))
    def test_a_secret_belongs_to_the_user_of_the_container_that_reads_it(self, name: str) -> None:
        for source in secrets_of(SERVICES[name]):
            file = Path(COMPOSE["secrets"][source]["file"]).name
            if file not in deployment.PUBLIC:
                assert deployment.READERS[file] == uid_of(SERVICES[name]), source

    @pytest.mark.parametrize("name", list(SERVICES))
    def test_a_service_is_given_the_secrets_that_it_names(self, name: str) -> None:
        service = SERVICES[name]
        text = json.dumps([service.get("environment", {}), service.get("healthcheck", {})])
        if name == "mosquitto":
            text += (ROOT / "deploy" / "mosquitto.conf").read_text("utf-8")
        named = set(re.findall(r"/run/secrets/[\w.]+", text))
        mounted = set(secrets_of(service).values())
        assert named <= mounted
        by_setting = {path for path in mounted - named if path.startswith("/run/secrets/")}
        prefix = (OF_SERVICE | {"trainer": "CLOUD_"}).get(name)
        for path in by_setting:  # read by its name, as a setting
            assert prefix is not None, path
            field = Path(path).name.upper().removeprefix(prefix).lower()
            assert field in SETTINGS[prefix].model_fields, path
            assert service["environment"]["PAWMESH_SECRETS_DIR"] == "/run/secrets"


class TestTheHowTo:
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")

    def test_its_commands_are_the_operators(self) -> None:
        shown = re.findall(r"run --rm operator ([^\n#]+)", self.page)
        assert {each.split()[0] for each in shown} == {
            *("prepare", "owner", "collar", "rules", "certificate", "site"),
        }
        for each in shown:
            command, bound, _ = deploy_app.parse_args(
                shlex.split(each.partition("&&")[0]), print_error=False, exit_on_error=False
            )
            assert command.__name__ == each.split()[0]
            assert bound.arguments or command.__name__ in ("rules", "certificate")

    def test_its_variables_are_those_of_the_compose_file(self) -> None:
        text = (ROOT / "compose.yaml").read_text("utf-8")
        known = set(re.findall(r"\$\{(\w+):-", text))
        [block] = re.findall(r"```text\n(.*?)```", self.page, re.DOTALL)
        assert {line.partition("=")[0] for line in block.splitlines()} <= known
        assert set(re.findall(r"`(PAWMESH_\w+_BIND)`", self.page)) <= known
        for name in re.findall(r"`(DASHBOARD_\w+)`", self.page):
            assert unknown_variables({"environment": {name: ""}}) == []

    def test_the_second_sites_file_fits_the_first(self, tmp_path: Path) -> None:
        class Loader(yaml.SafeLoader):
            """Knows Compose's own tag: this list in place of that one."""

        Loader.add_constructor(
            "!override", lambda loader, node: loader.construct_sequence(node, deep=True)
        )
        [block] = re.findall(r"```yaml\n(.*?)```", self.page, re.DOTALL)
        more = yaml.load(block, Loader)
        assert not [error.message for error in STANDARD.iter_errors(more)]
        secrets = Secrets(tmp_path / "secrets")
        secrets.prepare(["home"], [])
        secrets.add_site("cabin")
        for secret in more["secrets"].values():
            assert (tmp_path / Path(secret["file"]).relative_to("deploy")).is_file()
        [(name, service)] = more["services"].items()
        first = SERVICES["gateway"]
        assert f"http://{name}:8601" in self.page
        assert unknown_variables(service) == []
        assert set(secrets_of(service).values()) == set(secrets_of(first).values())
        assert set(secrets_of(service)) <= set(more["secrets"]) | set(COMPOSE["secrets"])
        assert [v.split(":")[1] for v in service["volumes"]] == ["/var/lib/pawmesh"]
        assert {v.split(":")[0] for v in service["volumes"]} == set(more["volumes"])
        taken = {
            port.split(":")[-2] for each in SERVICES.values() for port in each.get("ports", [])
        }
        assert not taken & {port.split(":")[-2] for port in service["ports"]}


class TestDockerfile:
    def test_what_it_copies_is_there_and_reaches_the_builder(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        allowed = {line[1:] for line in ignored if line.startswith("!")}
        assert "*" in ignored, "secrets, history and tests stay outside"
        sources = [
            source
            for word, rest in instructions()
            if word == "COPY" and "--from=" not in rest
            for source in rest.split()[:-1]
        ]
        assert set(sources) == allowed
        for source in sources:
            assert (ROOT / source).exists(), source
        packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert set(packages) <= set(sources)
        assert {PYPROJECT["project"]["readme"], *PYPROJECT["project"]["license-files"]} <= set(
            sources
        )

    def test_its_python_is_one_we_support(self) -> None:
        [image] = [r.removeprefix("PYTHON=") for _, r in instructions() if r[:7] == "PYTHON="]
        found = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-\w+", image)
        assert found is not None, image
        assert found[1] in ("3.11", "3.12", "3.13")
        froms = [rest for word, rest in instructions() if word == "FROM"]
        assert froms == ["${PYTHON} AS build", "${PYTHON}"]

    def test_it_ends_as_the_user_that_compose_names(self) -> None:
        last = list(instructions())[-4:]
        users = [rest for word, rest in last if word == "USER"]
        assert users == [SERVICES["cloud"]["user"]]
        assert int(users[0].partition(":")[0]) == deployment.SERVICES_UID
        assert [rest for word, rest in last if word == "STOPSIGNAL"] == ["SIGINT"]
        [command] = [json.loads(rest) for word, rest in last if word == "CMD"]
        assert importlib.util.find_spec(command[3]) is not None

    def test_pip_understands_what_it_is_asked(self) -> None:
        asked = 0
        for word, rest in instructions():
            for step in rest.split("&&") if word == "RUN" else []:
                found = re.search(r"-m pip (\w+) (.+)", step)
                if found:
                    options, _ = create_command(found[1]).parse_args(shlex.split(found[2]))
                    assert options is not None
                    asked += 1
                    if found[1] == "install":
                        assert (
                            options.constraints[-1] == "constraints.txt"
                        )  # this machine may have more
        assert asked == 4

    def test_its_extras_exist_and_all_they_need_is_pinned(self) -> None:
        [default] = [r.removeprefix("EXTRAS=") for w, r in instructions() if r[:7] == "EXTRAS="]
        trainers = SERVICES["trainer"]["build"]["args"]["EXTRAS"]
        assert '.whl)[${EXTRAS}]"' in (ROOT / "Dockerfile").read_text("utf-8")
        assert trainers == f"{default},training"
        pins = (ROOT / "constraints.txt").read_text("utf-8")
        for extras in (default, trainers):
            assert set(extras.split(",")) <= set(PYPROJECT["project"]["optional-dependencies"])
            needed = reached(Requirement(f"pawmesh[{extras}]"))
            assert {name for name in needed if f"\n{name}==" not in pins} == {"pawmesh"}
            assert not needed & {"pytest", "ruff", "pyright"}
            assert ("tensorflow-cpu" in needed) == (extras == trainers)


def reached(wanted: Requirement) -> set[str]:
    """Names of all distributions that a requirement needs here, itself among them."""
    found: set[tuple[str, str]] = set()
    open_ = [wanted]
    while open_:
        now = open_.pop()
        key = (canonicalize_name(now.name), ",".join(sorted(now.extras)))
        if key in found:
            continue
        found.add(key)
        try:
            needs = distribution(now.name).requires or []
        except PackageNotFoundError:
            continue
        for each in map(Requirement, needs):
            environments = [{"extra": extra} for extra in now.extras or {""}]
            if each.marker is None or any(each.marker.evaluate(e) for e in environments):
                open_.append(each)
    return {name for name, _ in found}
