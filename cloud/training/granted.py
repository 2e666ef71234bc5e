"""What owners allow models to learn from: their pets' raw windows, with their own words for them.

A window counts while a grant for training is active for it and for the label, and only if the
collar's seal proved it. Its label is the owner's last word on that time, and the window must lie
wholly within it.
"""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cloud.db import load_queries
from cloud.labels.labels import PURPOSE
from cloud.training.dataset import Dataset
from cloud.training.roles import Role, decide
from gateway.wire.messages import Choice
from gateway.wire.uplink import MAX_LABEL_S
from plugins.sdk.manifest import Model

SQL = load_queries(__file__)

MOST_PER_PET = 4_000  # the newest; a training takes some hundred of each behaviour


@dataclass(frozen=True)
class Granted:
    """Labelled windows that the model of one manifest can learn from, and what they rest on."""

    data: Dataset
    fair: NDArray[np.bool_]
    """Of each window, whether the collar drew it by lot: only these may judge."""
    grants: list[str]
    """All that the windows and labels rest on."""
    other_shape: int
    """Windows left out: of another rate or length than the model's."""
    other_words: int
    """Windows left out: the owner named a behaviour that the model does not know."""

    def counts(self, animals: list[str], *, fair_only: bool = False) -> dict[str, int]:
        """Windows by pet."""
        mine = self.data.animals[self.fair] if fair_only else self.data.animals
        return {animal: int(np.sum(mine == animal)) for animal in animals}


def granted_windows(connection: psycopg.Connection[Any], model: Model, now: datetime) -> Granted:
    """The windows that owners allow this model to learn from now.

    Args:
        connection: In a transaction; the order of what it gives is always the same.
        model: Whose rate, length and labels the windows must have.
        now: Grants must be active at this instant.
    """
    values = {"purpose": PURPOSE, "now": now, "longest_s": MAX_LABEL_S, "most": MOST_PER_PET}
    windows: list[NDArray[np.float32]] = []
    labels: list[str] = []
    animals: list[str] = []
    fair: list[bool] = []
    grants: set[str] = set()
    left: Counter[str] = Counter()
    for row in connection.execute(SQL["labelled_windows"], values):
        pet_id, grant_id, label_grant_id, behaviour, choice, rate_hz, acc, gyr, samples = row
        if not math.isclose(rate_hz, model.rate_hz) or len(samples) != 12 * model.samples:
            left["shape"] += 1
        elif behaviour not in model.labels:
            left["words"] += 1
        else:
            scale = np.array([acc] * 3 + [gyr] * 3)
            raw = np.frombuffer(samples, "<i2").reshape(-1, 6)
            windows.append((raw * scale).astype(np.float32))
            labels.append(behaviour)
            animals.append(pet_id)
            fair.append(choice == Choice.RANDOM)
            grants |= {grant_id, label_grant_id}
    count = len(windows)
    data = Dataset(
        windows=np.stack(windows) if windows else np.zeros((0, model.samples, 6), np.float32),
        labels=np.array(labels, "<U24"),
        purity=np.ones(count, np.float32),
        anomalies=np.full(count, "", "<U24"),
        animals=np.array(animals, "<U32"),
    )
    return Granted(data, np.array(fair, np.bool_), sorted(grants), left["shape"], left["words"])


def roles_of(connection: psycopg.Connection[Any], pets: list[str]) -> dict[str, Role]:
    """What part each of these pets plays; decided now for those that have none yet.

    Args:
        connection: In a transaction, of which there is one at a time.
        pets: Those with labelled windows.
    """
    held = {row[0]: row[1:] for row in connection.execute(SQL["roles"])}
    roles = {pet_id: Role(role) for pet_id, (_, role) in held.items()}
    new = [pet_id for pet_id in pets if pet_id not in roles]
    newcomers: dict[str, str] = dict(
        connection.execute(SQL["species"], {"pet_ids": new}).fetchall()
    )
    fresh = decide(newcomers, Counter(species for species, _ in held.values()))
    values = {"pet_ids": list(fresh), "roles": [role.value for role in fresh.values()]}
    connection.execute(SQL["decide_roles"], values)
    roles |= fresh
    return {pet_id: roles[pet_id] for pet_id in pets}
