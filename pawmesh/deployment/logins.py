"""Mosquitto's logins: hashed passwords, and which topics each may use."""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Iterable

from gateway.wire.topics import DOWNLINK_KINDS, ROOT, UPLINK_KINDS

HEALTH = "pawmesh.health"  # ids of sites hold no dot, so no site is called like a login of ours
HEALTH_TOPIC = "$SYS/broker/uptime"
# Mosquitto's own default: it hashes at every connection, in its only thread. Our passwords are
# random, so nobody guesses them however fast the hash is; do not put one of your own here.
ITERATIONS = 101
SALT_BYTES = 12


def gateway_login(site: str) -> str:
    """The user name of a site's gateway."""
    return f"gateway.{site}"


def collars_login(site: str) -> str:
    """The user name that all collars of a site share."""
    return f"collars.{site}"


def make_password() -> str:
    """256 random bits, in letters that need no quoting in a URL."""
    return secrets.token_urlsafe(32)


def password_line(user: str, password: str) -> str:
    """A line of Mosquitto's password file (its format 7: PBKDF2 with SHA-512)."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}\n"


def access_rules(sites: Iterable[str]) -> str:
    """Mosquitto's access file: each login sees its own site; a collar cannot play the gateway."""
    lines = ["# Written by pawmesh deploy; changes are lost.", f"user {HEALTH}"]
    lines += [f"topic read {HEALTH_TOPIC}"]
    for site in sites:
        lines += ["", f"user {gateway_login(site)}", f"topic readwrite {ROOT}/+/{site}/#"]
        lines += ["", f"user {collars_login(site)}"]
        lines += [f"topic write {ROOT}/+/{site}/+/{kind}" for kind in sorted(UPLINK_KINDS)]
        lines += [f"topic read {ROOT}/+/{site}/+/{kind}" for kind in sorted(DOWNLINK_KINDS)]
    return "\n".join(lines) + "\n"
