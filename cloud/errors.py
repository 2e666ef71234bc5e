"""What can go wrong in the cloud, and what to do about it.

Each error knows the HTTP status it becomes; ``cloud.api.problems`` makes the problem document.
"""

from typing import ClassVar


class CloudError(Exception):
    """Base of the cloud's errors."""

    status: ClassVar[int] = 500

    @property
    def title(self) -> str:
        """What went wrong in general: the first sentence of the class's docstring."""
        return (self.__doc__ or "").split(".")[0].strip()


class DatabaseNewer(CloudError):
    """The database was written by a newer Pawmesh. Update Pawmesh, or use another database."""


class MigrationChanged(CloudError):
    """A migration differs from the one that was applied. Restore the published file."""


class DatabaseUnavailable(CloudError):
    """The database does not answer. Nothing is lost; try again in a moment."""

    status = 503


class KeyFileUnusable(CloudError):
    """A key file cannot be used. Restore it from a backup; a new key is unknown to every collar."""


class TrainingUnavailable(CloudError):
    """Training needs more than the service does. Install what the message names."""


class Busy(CloudError):
    """The site's grants or collars kept changing under the request. Send it again."""

    status = 503


class NotSignedIn(CloudError):
    """This needs a valid bearer token or gateway signature. Sign in, or check clock and key."""

    status = 401


class NotAllowed(CloudError):
    """Who asks may not do this. Ask as the owner, or as the operator."""

    status = 403


class NotFound(CloudError):
    """There is no such thing among yours. Check the id."""

    status = 404


class Conflict(CloudError):
    """It contradicts what is already there. The detail says what to change."""

    status = 409


class Invalid(CloudError):
    """The request is ill-formed. The detail names the place; sending it again will not help."""

    status = 422


class BodyTooLarge(CloudError):
    """The body exceeds the limit. Split it."""

    status = 413
