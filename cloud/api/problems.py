"""Errors as RFC 9457 problem documents, made in one place."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg import errors as pg
from starlette.exceptions import HTTPException

from cloud.errors import CloudError, Conflict, DatabaseUnavailable, Invalid, NotFound
from gateway.wire.problems import CONTENT_TYPE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CHALLENGE = {"WWW-Authenticate": "Bearer"}
RETRY = {"Retry-After": "1"}


def problem(
    status: int, title: str, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem document."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {**(headers or {}), **CHALLENGE}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {**(headers or {}), **RETRY}
    return JSONResponse(document, status, headers, media_type=CONTENT_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""
    app.add_exception_handler(CloudError, _cloud_error)
    app.add_exception_handler(pg.IntegrityError, _refused_by_database)
    app.add_exception_handler(pg.DataError, _refused_by_database)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unforeseen)


def _cloud_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, CloudError):
        raise error
    if isinstance(error, DatabaseUnavailable):  # its text names hosts and users
        return problem(error.status, error.title, "Nothing is lost; try again in a moment.")
    return problem(error.status, error.title, str(error))


def _refused_by_database(request: Request, error: Exception) -> JSONResponse:
    """What the database's own rules refuse: the caller's ids clash or point nowhere."""
    if isinstance(error, pg.ForeignKeyViolation):
        return _cloud_error(request, NotFound("an id in the request names nothing"))
    if isinstance(error, pg.UniqueViolation):
        return _cloud_error(request, Conflict("an id or email in the request is taken"))
    if isinstance(error, pg.ExclusionViolation):
        return _cloud_error(request, Conflict("the collar is assigned to a pet at that time"))
    return _cloud_error(request, Invalid("a value is out of range"))


def _validation_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    places = [
        {"at": ".".join(str(part) for part in each["loc"]), "detail": each["msg"]}
        for each in error.errors()
    ]
    return problem(422, Invalid().title, places[0]["detail"] if places else "", errors=places)


def _http_exception(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail))


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    log.error("request.failed", path=request.url.path, exc_info=error)
    return problem(500, "This is a fault of ours. The log says more.")
