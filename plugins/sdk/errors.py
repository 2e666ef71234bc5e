"""What can be wrong with a plugin or a model, and what its author should do."""


class PluginError(Exception):
    """Base of all errors about plugins."""


class ManifestError(PluginError):
    """``plugin.toml`` is missing, unreadable or wrong; the message names the field."""


class ModelRefused(PluginError):
    """The .tflite may not run here: corrupt, over budget, or using what is not allowed."""


class ModelTooLarge(ModelRefused):
    """The .tflite is sound, but needs more than its budget. Make it smaller."""


class ModelMisfit(ModelRefused):
    """The .tflite is made for other inputs or outputs than its manifest and host say."""
