"""What a service's log tells: JSON for machines, and nothing of an owner's data."""

import json
import subprocess
import sys

FAILS = """
import structlog
from gateway.logs import log_to_stderr

def judge(payload):
    raise KeyError("speed")

log_to_stderr()
try:
    judge(b"lat_deg %d" % 48_137)
except KeyError:
    structlog.get_logger().exception("message.failed", topic="t")
"""


def test_an_error_is_told_with_where_it_was_and_without_what_was_in_hand():
    done = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, check=True)
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["topic"]) == ("message.failed", "error", "t")
    assert "in judge" in said["exception"]
    assert b"48137" not in done.stderr
    assert not done.stdout
