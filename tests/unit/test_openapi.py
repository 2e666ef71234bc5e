"""The HTTP references say what the services do, and a stranger can use them."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from cloud.api.app import create_app
from cloud.settings import Settings
from gateway.wire.problems import CONTENT_TYPE, METHODS, with_problems

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
NAMES = ("openapi-cloud.json", "openapi-gateway.json")
TEXTS = {name: (REFERENCE / name).read_text("utf-8") for name in NAMES}
DOCUMENTS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in TEXTS.items()}


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    folder = str(ROOT / "scripts")
    sys.path.insert(0, folder)
    try:
        script: ModuleType = importlib.import_module("docs_openapi")
    finally:
        sys.path.remove(folder)
    return script.render()


def operations(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENTS[name]["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield method, path, operation


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_the_code_says(rendered: dict[str, str], name: str) -> None:
    assert rendered[name] == TEXTS[name], "run: python scripts/docs_openapi.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_route_says_what_it_does_and_what_goes_wrong(name: str) -> None:
    for method, path, operation in operations(name):
        where = f"{method} {path}"
        assert len(operation["summary"]) > 5, where
        assert operation["summary"].title() != operation["summary"], f"{where}: no docstring"
        assert {"4XX", "5XX"} <= set(operation["responses"]), where
        for status in ("4XX", "5XX"):
            assert list(operation["responses"][status]["content"]) == [CONTENT_TYPE], where
        assert any(status.startswith("2") for status in operation["responses"]), where


@pytest.mark.parametrize("name", NAMES)
def test_only_health_and_signing_in_are_open_to_strangers(name: str) -> None:
    open_to_all = {path for _, path, operation in operations(name) if "security" not in operation}
    assert {"/healthz", "/metrics"} <= open_to_all
    assert open_to_all <= {"/healthz", "/metrics", "/v1/session"}


@pytest.mark.parametrize("name", NAMES)
def test_operations_have_names_of_their_own_and_references_lead_somewhere(name: str) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(name)]
    assert len(ids) == len(set(ids))
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', TEXTS[name])):
        part: Any = DOCUMENTS[name]
        for step in reference.split("/"):
            assert step in part, reference
            part = part[step]


def test_what_the_service_answers_is_a_problem_as_described() -> None:
    settings = Settings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1/nothing"),
        operator_token_file=Path("unused"),
    )
    client = TestClient(create_app(settings))  # without its lifespan: nothing is opened
    answer = client.get("/v1/nothing")
    assert answer.headers["content-type"] == CONTENT_TYPE
    problem = DOCUMENTS["openapi-cloud.json"]["components"]["schemas"]["Problem"]
    Draft202012Validator(problem).validate(answer.json())
    assert not Draft202012Validator(problem).is_valid({"detail": "Not Found"})
    assert client.get("/openapi.json").json() == DOCUMENTS["openapi-cloud.json"]


def test_describing_again_changes_nothing() -> None:
    app = FastAPI()

    @app.get("/much/{number}")
    def much(number: int) -> int:
        """Do ``much``.

        And say more about it.
        """
        return number

    once = json.dumps(with_problems(app.openapi))
    assert json.dumps(with_problems(app.openapi)) == once
    said = app.openapi()["paths"]["/much/{number}"]["get"]
    assert said["summary"] == "Do `much`"
    assert said["description"] == "Do `much`.\n\nAnd say more about it."
    assert set(said["responses"]) == {"200", "4XX", "5XX"}
