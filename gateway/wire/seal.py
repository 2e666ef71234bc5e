"""Seals: proof of what a collar said that still allows most of it to be kept at home.

A seal is an Ed25519 signature over the root of a three-level Merkle tree::

    leaf     = SHA256(0x00 | salt | msgpack([name, value]))      one per field, as it was sent
    message  = SHA256(0x01 | leaf_1 | ... | leaf_n)              leaves ordered by name
    root     = SHA256(0x02 | message_1 | ... | message_m)        messages ordered by seq

The key, kind and times of a message are one leaf (``_header``), as they are never withheld. A fix
also has its position rounded to coarser cells as leaves of their own, so that "about one
kilometre" can be shared and still be proven. Salts hide low-entropy values: they derive from a
per-batch secret that collar and gateway share and the cloud does not know. Who is shown every
field of a message gets its 32-byte seed; who is shown some gets those salts and the other leaves.

Source: the idea of SD-JWT (RFC 9901), with binary leaves small enough for a collar.
"""

import hashlib
import hmac
import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from gateway.wire.errors import WrongSeal
from gateway.wire.messages import Seal
from gateway.wire.topics import Kind

CONTEXT = b"pawmesh-seal-v1"
HEADER = "_header"
HEADER_FIELDS = ("collar_id", "boot", "seq", "observed_at", "uptime_s", "clock")
CELLS_PER_DEG = {"position_100m": 1000, "position_1km": 100, "position_10km": 10}
"""Leaf name of each coarser precision, and how many cells a degree is cut into."""
SALT_BYTES = 16
HASH_BYTES = 32

_encode = msgspec.msgpack.Encoder(order="sorted").encode


class Disclosure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The granted leaves of one message, and what proves them."""

    seq: int
    kind: Kind
    leaves: dict[str, Any]
    """Granted leaves by name; the header is among them."""
    seed: bytes | None = None
    """Opens every salt; present when nothing is hidden."""
    salts: bytes | None = None
    """Of the granted leaves in the order of their names, 16 bytes each."""
    hidden: dict[str, bytes] = {}
    """Hashes of the withheld leaves."""


def leaves_of(kind: Kind, fields: dict[str, Any]) -> dict[str, Any]:
    """Leaves of a message, sorted by name: its fields as sent, the header, coarser positions."""
    leaves = {name: value for name, value in fields.items() if name not in HEADER_FIELDS}
    leaves[HEADER] = [kind.value, *(fields.get(name) for name in HEADER_FIELDS)]
    if kind is Kind.FIX:
        lat_deg, lon_deg = fields["lat_deg"], fields["lon_deg"]
        for name, cells in CELLS_PER_DEG.items():
            leaves[name] = [math.floor(lat_deg * cells), math.floor(lon_deg * cells)]
    return dict(sorted(leaves.items()))


def batch_secret(collar_secret: bytes, boot: int, first_seq: int) -> bytes:
    """What the salts of one batch derive from; known to collar and gateway only."""
    label = b"salts" + boot.to_bytes(8) + first_seq.to_bytes(8)
    return hmac.digest(collar_secret, label, "sha256")


def message_seed(secret: bytes, seq: int) -> bytes:
    """What the salts of one message derive from."""
    return hmac.digest(secret, seq.to_bytes(8), "sha256")


def message_hash(leaves: dict[str, Any], seed: bytes) -> bytes:
    """Hash of a message with all its leaves, which are sorted by name."""
    salts = _salts(seed, len(leaves))
    return _node(
        b"\x01", [_leaf(salt, *leaf) for salt, leaf in zip(salts, leaves.items(), strict=True)]
    )


def disclose(
    kind: Kind, seq: int, leaves: dict[str, Any], seed: bytes, granted: set[str]
) -> Disclosure:
    """Show the ``granted`` leaves of a message; the header is always shown."""
    granted = granted | {HEADER}
    if granted >= leaves.keys():
        return Disclosure(seq=seq, kind=kind, leaves=leaves, seed=seed)
    shown: dict[str, Any] = {}
    shown_salts: list[bytes] = []
    hidden: dict[str, bytes] = {}
    for salt, (name, value) in zip(_salts(seed, len(leaves)), leaves.items(), strict=True):
        if name in granted:
            shown[name] = value
            shown_salts.append(salt)
        else:
            hidden[name] = _leaf(salt, name, value)
    return Disclosure(seq=seq, kind=kind, leaves=shown, salts=b"".join(shown_salts), hidden=hidden)


def disclosed_hash(shown: Disclosure) -> bytes:
    """Hash of the message that ``shown`` claims to be a part of.

    Raises:
        WrongSeal: The disclosure does not fit together.
    """
    if HEADER not in shown.leaves or shown.leaves.keys() & shown.hidden.keys():
        raise WrongSeal("the header is withheld, or a leaf is both shown and hidden")
    header = shown.leaves[HEADER]
    if not isinstance(header, list) or (header[:1], header[3:4]) != ([shown.kind], [shown.seq]):
        raise WrongSeal("the header is of another message")
    if any(len(each) != HASH_BYTES for each in shown.hidden.values()):
        raise WrongSeal("a hidden leaf is not a hash")
    if shown.seed is not None:
        if shown.hidden:
            raise WrongSeal("a seed with hidden leaves")
        return message_hash(dict(sorted(shown.leaves.items())), shown.seed)
    salts = shown.salts or b""
    if len(salts) != SALT_BYTES * len(shown.leaves):
        raise WrongSeal("one salt per shown leaf is needed")
    hashes = dict(shown.hidden)
    for index, name in enumerate(sorted(shown.leaves)):
        salt = salts[index * SALT_BYTES : (index + 1) * SALT_BYTES]
        hashes[name] = _leaf(salt, name, shown.leaves[name])
    return _node(b"\x01", [hashes[name] for name in sorted(hashes)])


def root_of(message_hashes: Iterable[bytes]) -> bytes:
    """Root over the hashes of a batch's messages in order of ``seq``."""
    return _node(b"\x02", message_hashes)


def sign_root(
    key: Ed25519PrivateKey, collar_id: str, boot: int, first_seq: int, last_seq: int, root: bytes
) -> bytes:
    """Signature that makes a seal of a root."""
    return key.sign(_statement(collar_id, boot, first_seq, last_seq, root))


def verify_signature(public_key: bytes, seal: Seal) -> None:
    """Check that the collar signed this root for these messages.

    Raises:
        WrongSeal: It did not.
    """
    statement = _statement(seal.collar_id, seal.boot, seal.first_seq, seal.last_seq, seal.root)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(seal.signature, statement)
    except (InvalidSignature, ValueError) as error:
        raise WrongSeal("the signature is not this collar's") from error


def verify_root(seal: Seal, message_hashes: Sequence[bytes]) -> None:
    """Check that these messages, one for every ``seq`` from first to last, have the seal's root.

    Raises:
        WrongSeal: They do not.
    """
    count = seal.last_seq - seal.first_seq + 1
    if len(message_hashes) != count or root_of(message_hashes) != seal.root:
        raise WrongSeal("the messages are not those the collar sealed")


def _salts(seed: bytes, count: int) -> list[bytes]:
    stream = hashlib.shake_256(seed).digest(SALT_BYTES * count)
    return [stream[at : at + SALT_BYTES] for at in range(0, len(stream), SALT_BYTES)]


def _leaf(salt: bytes, name: str, value: Any) -> bytes:
    try:
        return hashlib.sha256(b"\x00" + salt + _encode((name, value))).digest()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WrongSeal(f"{name} has no canonical form: {error}") from error


def _node(prefix: bytes, hashes: Iterable[bytes]) -> bytes:
    return hashlib.sha256(prefix + b"".join(hashes)).digest()


def _statement(collar_id: str, boot: int, first_seq: int, last_seq: int, root: bytes) -> bytes:
    return CONTEXT + _encode((collar_id, boot, first_seq, last_seq, root))
