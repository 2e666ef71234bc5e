"""Signed models for tests: the shipped packages under other versions, and things gone wrong."""

import hashlib
import random
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import plugins
from collar_sim.firmware.models.classifier import LiteRtClassifier
from gateway.wire.messages import MODEL_CHUNK_BYTES, ModelChunk, ModelOffer
from gateway.wire.release import Release
from gateway.wire.uplink import Deployment, ModelPackage
from plugins.sdk.golden import golden_windows, packed
from plugins.sdk.manifest import Manifest, read_manifest
from plugins.sdk.package import Package, admitted

SHIPPED = Path(plugins.__path__[0])
_MANIFESTS = {slot: read_manifest(SHIPPED / slot) for slot in ("activity", "anomaly")}
_RAW = {slot: (SHIPPED / slot / "model.tflite").read_bytes() for slot in _MANIFESTS}
KEY = Ed25519PrivateKey.from_private_bytes(b"release-key-of-the-tests-00000000"[:32])
PUBLIC = KEY.public_key().public_bytes_raw()
CHUNKS = 12  # of a package, unless a test says otherwise
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def manifest_of(slot: str = "activity", version: str = "9.0.0", **model: Any) -> Manifest:
    """The shipped manifest with another version; ``model`` changes its [model]."""
    shipped = _MANIFESTS[slot]
    assert shipped.model is not None
    changed = msgspec.structs.replace(shipped.model, **model)
    return msgspec.structs.replace(shipped, version=version, model=changed)


def raw_of(slot: str = "activity") -> bytes:
    """The shipped .tflite."""
    return _RAW[slot]


def golden_of(manifest: Manifest, raw: bytes) -> bytes:
    """What the model must answer in its self-test, as LiteRT says."""
    assert manifest.model is not None
    canonical = admitted(raw, manifest.model, manifest.runs_on)
    classifier = LiteRtClassifier(Package(Path(), manifest, canonical))
    windows = golden_windows(manifest.model.samples, manifest.model.rate_hz)
    return packed(classifier.predict(windows))


def release_of(slot: str = "activity", version: str = "9.0.0", **model: Any) -> Release:
    """A good release of the shipped model under another version."""
    manifest, raw = manifest_of(slot, version, **model), raw_of(slot)
    golden = golden_of(manifest, raw)
    return Release.signed(KEY, slot=slot, manifest=manifest, size=len(raw), golden=golden)


def bad_release(raw: bytes, version: str = "9.0.0", golden: bytes = b"", **model: Any) -> Release:
    """A rightly signed release of any bytes at all."""
    digest = hashlib.sha256(raw).hexdigest()
    manifest = manifest_of("activity", version, sha256=digest, **model)
    return Release.signed(KEY, slot="activity", manifest=manifest, size=len(raw), golden=golden)


def package_of(version: str = "9.0.0", chunks: int = CHUNKS) -> ModelPackage:
    """A rightly signed model of any bytes: the gateway carries it, and judges no more than that."""
    model = random.Random(version).randbytes(chunks * MODEL_CHUNK_BYTES - 5)
    return ModelPackage(release=bad_release(model, version), model=model)


def deployment(rollout: str, package: ModelPackage, *collars: str) -> Deployment:
    """What the registry says when these collars shall have the package."""
    release = package.release
    return Deployment(
        rollout=rollout,
        slot=release.slot,
        package=release.package,
        version=release.version,
        sha256=release.sha256,
        collars=list(collars),
    )


def offer_of(
    release: Release,
    rollout: str = "r1",
    collar_id: str = "c1",
    chunk_bytes: int = MODEL_CHUNK_BYTES,
) -> ModelOffer:
    return ModelOffer(
        collar_id=collar_id, rollout=rollout, release=release, chunk_bytes=chunk_bytes
    )


def chunks_of(offer: ModelOffer, raw: bytes) -> list[ModelChunk]:
    """The model as the gateway cuts it."""
    size = offer.chunk_bytes
    return [
        ModelChunk(
            collar_id=offer.collar_id,
            rollout=offer.rollout,
            index=n,
            data=raw[n * size : (n + 1) * size],
        )
        for n in range(-(-len(raw) // size))
    ]
