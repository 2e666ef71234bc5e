import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.wire.release import ModelRefusal, Release, WrongRelease, version_order
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ModelRefused
from plugins.sdk.golden import golden_windows, output_step, packed, require_agreement
from plugins.sdk.manifest import Manifest, Model, Place, Task
from tests.releases import raw_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
MANIFEST = Manifest(
    id="activity",
    version="0.3.0",
    name="Activity",
    summary="For a test.",
    runs_on=Place.COLLAR,
    model=Model(sha256="a" * 64, task=Task.CLASSIFY, labels=[Behaviour.REST, Behaviour.WALK]),
)


def release() -> Release:
    return Release.signed(KEY, slot="activity", manifest=MANIFEST, size=9_000, golden=b"1234")


def test_a_release_gives_its_manifest_to_who_knows_the_key() -> None:
    assert release().verified([bytes(32), PUBLIC]) == MANIFEST


def test_a_release_of_an_unknown_key_is_refused() -> None:
    with pytest.raises(WrongRelease) as refused:
        release().verified([bytes(32)])
    assert refused.value.reason is ModelRefusal.UNKNOWN_KEY


@pytest.mark.parametrize(
    "change",
    [
        {"slot": "anomaly"},
        {"package": "other"},
        {"version": "9.9.9"},
        {"manifest": msgspec.json.encode(MANIFEST) + b" "},
        {"sha256": "b" * 64},
        {"size": 9_001},
        {"golden": b"1235"},
        {"signature": bytes(64)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_field_of_a_release_can_be_changed(change: dict[str, object]) -> None:
    with pytest.raises(WrongRelease) as refused:
        msgspec.structs.replace(release(), **change).verified([PUBLIC])
    assert refused.value.reason is ModelRefusal.WRONG_SIGNATURE


def test_a_signature_does_not_excuse_a_manifest_that_says_something_else() -> None:
    other = msgspec.structs.replace(MANIFEST, version="0.4.0")
    signed = Release.signed(KEY, slot="activity", manifest=other, size=1, golden=b"")
    lying = msgspec.structs.replace(signed, version="0.3.0")
    # signed as such, by a key that is known: as a trainer with a defect would
    from gateway.wire.release import _statement

    lying = msgspec.structs.replace(lying, signature=KEY.sign(_statement(lying)))
    with pytest.raises(WrongRelease) as refused:
        lying.verified([PUBLIC])
    assert refused.value.reason is ModelRefusal.INVALID_MANIFEST


def test_versions_are_compared_by_number() -> None:
    assert version_order("0.10.0") > version_order("0.9.9") > version_order("0.9.0")


def test_the_golden_windows_are_the_same_everywhere_and_differ_among_each_other() -> None:
    windows = golden_windows(100, 25.0)
    assert np.array_equal(windows, golden_windows(100, 25.0))
    assert len({window.tobytes() for window in windows}) == len(windows)


@pytest.mark.parametrize(
    ("slot", "borne", "refused"),
    [("activity", 6, 24), ("anomaly", 2, 3)],  # a score's step is a fine one
)
def test_the_self_test_bears_a_few_int8_steps_and_nothing_more(
    slot: str, borne: int, refused: int
) -> None:
    step = output_step(raw_of(slot))
    answers = np.linspace(-57, 46, 8 * 36).round().astype(np.float32).reshape(8, 36) * step
    signed = packed(answers)
    for away in (borne * step, -borne * step):
        require_agreement(signed, answers + np.float32(away), step)
    off = answers.copy()
    off[3, 7] += refused * step  # one is enough, and how large the others are does not matter
    with pytest.raises(ModelRefused, match="away from the signed"):
        require_agreement(signed, off, step)
    with pytest.raises(ModelRefused):
        require_agreement(signed, np.full_like(answers, np.nan), step)
    with pytest.raises(ModelRefused, match="were signed"):
        require_agreement(signed, answers[:, :3], step)
