"""What is shared, earned and learned, in the owner's words. All plain text: never HTML."""

from dataclasses import dataclass

MICRO = 1_000_000  # micro-tokens in a token


@dataclass(frozen=True, slots=True)
class Offer:
    """Something an owner can allow, and what that means."""

    title: str
    icon: str
    leaves: str
    """What leaves the house."""
    purpose: str
    use: str
    """What it is for."""


OFFERS = {
    "activity": Offer(
        "Activity",
        "directions_walk",
        "Once a minute: seconds per behaviour, how much it moved, the collar's battery. "
        "No place, no name.",
        "research",
        "Research on how animals live.",
    ),
    "position": Offer(
        "Position",
        "location_on",
        "Every position, no finer than you choose below. Exact ones show where you live.",
        "research",
        "Research on how animals use places.",
    ),
    "events": Offer(
        "Events",
        "bolt",
        "Single moments that the collar noticed, such as scratching or unusual movement.",
        "research",
        "Research on what is unusual for an animal.",
    ),
    "raw": Offer(
        "Raw movement, for training",
        "model_training",
        "Two short pieces of raw motion a minute, a few seconds each, and what you say the animal "
        "did then. No place, no name.",
        "training",
        "Teaching the model on your collars, and on others', to read animals better.",
    ),
}
"""By stream."""

PRECISIONS = {
    "10km": "to about 10 km",
    "1km": "to about 1 km",
    "100m": "to about 100 m",
    "exact": "exactly",
}
SPANS = {"for good": None, "for a month": 30, "for a year": 365}
"""Days that a permission lasts."""

WHYS = {
    "shared": "It also helps to train the model, as you allowed.",
    "granted": "It also helps to train the model, as you allowed.",
    "no_grant": "It stays at home: you do not share raw movement for training.",
    "not_granted": "It stays at home: you do not share raw movement for training.",
    "before_grant": "It stays at home: it was before you began to share raw movement.",
    "no grant lets raw windows of that time leave for training": "It stays at home: raw movement "
    "of that time is not shared for training.",
    "no_cloud": "It stays at home: this home has no cloud.",
}

REASONS = {
    "sealed": "The collar's signature proves it",
    "unsealed": "Nothing proves it, so it earned nothing",
    "fresh": "It told of now",
    "stale_history": "Some was older than a day and earned half",
    "duplicate": "Some was known already and earned nothing",
    "abstained_often": "The model was often unsure",
    "coarse_position": "Positions were rounded and earned less",
    "partial": "Some parts were withheld",
    "complete": "An hour or more without a gap",
}

REFUSALS = {
    "unknown_key": "The collar does not know who signed it. It has to be enrolled again, or the "
    "model signed with the cloud's own key.",
    "wrong_signature": "The signature does not fit: it was changed on its way.",
    "invalid_manifest": "Its description cannot be read, or contradicts it.",
    "unknown_slot": "This collar has no place for such a model.",
    "older": "The collar already runs this version or a newer one.",
    "too_large": "It needs more memory than this collar has.",
    "truncated": "It arrived incomplete.",
    "corrupt": "What arrived is not what was signed.",
    "not_admitted": "It is malformed, or uses what no collar runs.",
    "wrong_shape": "It was made for another kind of collar.",
    "self_test_failed": "Tried on the collar, it answered otherwise than where it was made.",
    "superseded": "A newer model came before this one was complete.",
}

VERDICTS = {
    "too_few_pets": "too few other animals have shared and been corrected to judge it fairly",
    "too_few_windows": "too little of other animals was shared and corrected to judge it fairly",
    "no_better": "it was no better than the model in use",
    "worse_for_a_pet": "it was clearly worse for one of the animals",
    "not_admitted": "what came out is no model that a collar can run",
    "no_labels": "there are no corrections to learn from yet",
}
RUN_STATES = {
    "running": ("hourglass_top", "Learning right now"),
    "promoted": ("trending_up", "A better model came out of it"),
    "refused": ("balance", "The new model was not taken"),
    "failed": ("error", "The run failed; nothing changed"),
    "died": ("power_off", "The run was interrupted; nothing changed"),
}
MODEL_STATES = {
    "champion": "in use",
    "retired": "was in use before",
    "refused": "not taken",
    "candidate": "not judged yet",
}
DELIVERY_STATES = {
    "pending": "waits for the collar",
    "receiving": "on its way to the collar",
    "installed": "installed",
    "refused": "refused by the collar",
}
SLOTS = {"activity": "Reads what it does", "anomaly": "Notices the unusual"}
LEAVES = {
    "_header": "collar and time",
    "seconds": "seconds per behaviour",
    "odba_g": "how much it moved",
    "vedba_g": "how much it moved, turned or not",
    "steps": "steps",
    "scratch_bouts": "bouts of scratching",
    "drink_bouts": "bouts of drinking",
    "anomaly": "how unusual it was",
    "windows": "how many pieces the model read",
    "windows_unsure": "how many it was unsure of",
    "battery_pct": "battery",
    "period_s": "length of the period",
    "lat_deg": "exact latitude",
    "lon_deg": "exact longitude",
    "position_100m": "position to 100 m",
    "position_1km": "position to 1 km",
    "position_10km": "position to 10 km",
    "accuracy_m": "accuracy",
    "hdop": "satellite geometry",
    "speed_mps": "speed",
    "source": "kind of position",
    "age_s": "age of the position",
    "name": "what was noticed",
    "confidence": "how sure",
    "duration_s": "how long",
    "package": "which model",
    "samples": "raw motion",
    "rate_hz": "samples a second",
    "acc_g_per_lsb": "scale of acceleration",
    "gyr_dps_per_lsb": "scale of rotation",
    "label": "the model's own word",
    "choice": "why this piece",
}
OUTBOX_STATES = {
    "queued": "waiting for the cloud",
    "pending": "waiting for the cloud",
    "synced": "left the house",
    "withdrawn": "kept back: you withdrew the permission",
    "rejected": "not taken by the cloud",
    "refused": "not taken by the cloud",
}


def tokens(micro: int) -> str:
    """An amount of tokens.

    >>> tokens(1_234_500), tokens(0), tokens(-20), tokens(12_345_678_900_000)
    ('1.2345', '0', '-0.00002', '12,345,678.9')
    """
    whole, part = divmod(abs(micro), MICRO)
    places = f"{part:06d}".rstrip("0")
    if whole >= 1_000:
        places = places[:2].rstrip("0")
    elif whole >= 1:
        places = places[:4].rstrip("0")
    sign = "-" if micro < 0 else ""
    return f"{sign}{whole:,}{f'.{places}' if places else ''}"


def why_shared(why: str, *, shared: bool) -> str:
    """Whether a correction left the house, and why."""
    if why in WHYS:
        return WHYS[why]
    if shared:
        return WHYS["shared"]
    if " " in why.strip():  # the gateway's own sentence
        return f"It stays at home: {why.strip()[:200].rstrip('.')}."
    return WHYS["no_grant"] if not why else f"It stays at home: {why.replace('_', ' ')[:60]}."


def verdict(reason: str | None, detail: str) -> str:
    """Why a model was not taken, as the end of a sentence."""
    if reason in VERDICTS:
        return VERDICTS[reason]
    return (detail or (reason or "").replace("_", " ") or "no reason was given")[:200]
