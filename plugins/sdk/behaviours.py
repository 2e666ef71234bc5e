"""The words for what an animal does: shared by models, messages and people."""

from enum import StrEnum


class Behaviour(StrEnum):
    """What an animal can be doing; a model's labels are a subset, in the model's own order."""

    SLEEP = "sleep"
    REST = "rest"
    SNIFF = "sniff"
    WALK = "walk"
    RUN = "run"
    PLAY = "play"
    EAT = "eat"
    DRINK = "drink"
    SCRATCH = "scratch"
    VEHICLE = "vehicle"

    UNSURE = "unsure"
    """The model abstained: it saw the window and would not say."""
