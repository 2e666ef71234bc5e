"""What is said of sharing, earning and learning: no code of the services is without its words."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.models.models import State
from cloud.rewards.score import Reason
from dashboard.answers import Granted
from dashboard.words import DOINGS, UNSURE
from dashboard.words_sharing import (
    DELIVERY_STATES,
    LEAVES,
    MODEL_STATES,
    OFFERS,
    PRECISIONS,
    REASONS,
    REFUSALS,
    SLOTS,
    tokens,
    verdict,
    why_shared,
)
from gateway.corrections import AT_HOME, TRAINING
from gateway.wire.grants import COARSE_LEAF, Precision, Stream
from gateway.wire.messages import MESSAGES, ModelState
from gateway.wire.release import ModelRefusal

# How eyes without red, green or blue cones see linear RGB; source: Machado 2009, severity 1
EYES = {
    "all": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
APART = 0.09  # in OKLab, where 0.02 is just seen


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Source: Ottosson 2020."""
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(to_lms @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("eyes", list(EYES))
def test_the_behaviours_colours_stay_apart_for_every_kind_of_eye(eyes: str) -> None:
    seen = {
        name: oklab(EYES[eyes] @ linear(doing.colour))
        for name, doing in DOINGS.items()
        if name != UNSURE  # drawn hatched
    }
    for one, two in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[two]) > APART, (one, two)


def test_what_stands_on_a_colour_is_legible() -> None:
    luminance = np.array([0.2126, 0.7152, 0.0722])
    for doing in DOINGS.values():
        light = sorted(float(luminance @ linear(each)) for each in (doing.colour, doing.ink))
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5, doing


def test_every_refusal_of_a_model_has_plain_words() -> None:
    assert set(REFUSALS) == set(ModelRefusal)


def test_every_reason_of_a_reward_has_plain_words() -> None:
    assert set(REASONS) == set(Reason)


def test_every_state_of_a_model_and_its_delivery_has_plain_words() -> None:
    assert set(MODEL_STATES) == set(State)
    assert set(DELIVERY_STATES) == set(ModelState)
    assert set(SLOTS) == {"activity", "anomaly"}


def test_every_stream_can_be_shared_and_every_precision_chosen() -> None:
    assert set(OFFERS) == set(Stream)
    assert set(PRECISIONS) == set(Precision)
    assert OFFERS[Stream.RAW].purpose == TRAINING


def test_every_part_of_a_message_that_may_leave_has_a_name() -> None:
    common = {"collar_id", "boot", "seq", "observed_at", "uptime_s", "clock"}
    kinds = ("epoch", "fix", "event", "window")
    fields = {name for kind in kinds for name in MESSAGES[kind].__struct_fields__} - common
    assert fields | set(COARSE_LEAF.values()) | {"_header"} <= set(LEAVES)


def test_why_a_correction_stays_at_home_is_a_sentence() -> None:
    assert why_shared(AT_HOME, shared=False).startswith("It stays at home: raw movement")
    assert "train" in why_shared("shared for training under grant g1", shared=True)
    for odd in ("", "some_new_word", "a sentence <b>of</b> its own.", "x" * 999):
        assert why_shared(odd, shared=False).startswith("It stays at home")


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_verdict_is_told_and_never_at_length(reason: str, detail: str) -> None:
    assert len(verdict(reason, detail)) <= 200


@given(st.integers(-(10**24), 10**24))
def test_any_amount_can_be_told(micro: int) -> None:
    told = tokens(micro)
    assert told.startswith("-") == (micro < 0)
    assert len(told) < 40


def test_a_grant_that_ended_allows_nothing() -> None:
    grant = Granted.model_validate(
        {
            "grant_id": "g1",
            "pet_id": "p",
            "stream": "raw",
            "purpose": "training",
            "recipient": "pawmesh",
            "precision": "exact",
            "valid_from": "2026-01-01T00:00:00Z",
            "expires_at": "2026-02-01T00:00:00Z",
            "withdrawn_at": None,
        }
    )
    assert grant.active_at(grant.valid_from)
    assert grant.expires_at is not None
    assert not grant.active_at(grant.expires_at)
    withdrawn = grant.model_copy(update={"withdrawn_at": grant.valid_from})
    assert not withdrawn.active_at(grant.valid_from)
