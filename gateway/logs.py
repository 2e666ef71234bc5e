"""Logs of every service go to standard error: for people in a terminal, as JSON elsewhere.

An error is told with its traceback, without the values of variables: those are an owner's data.
"""

import logging
import sys

import structlog


def log_to_stderr() -> None:
    """Set up structlog for this process; standard output stays free for results."""
    in_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if in_terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
