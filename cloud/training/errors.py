"""What can be wrong with a training, and what to do."""


class TrainingError(Exception):
    """Base of all errors about training."""


class DatasetTooSmall(TrainingError):
    """A class or an animal is missing: collect more labels, or train on fewer classes."""


class WeightsRefused(TrainingError):
    """The weights to start from are not those of this network: use the file beside the model."""
