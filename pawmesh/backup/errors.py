"""What can be wrong with a backup, and what to do about it."""

from pawmesh.errors import PawmeshError


class DamagedBackup(PawmeshError):
    """The file is no backup, or not a whole one. Nothing was changed; take another copy of it."""


class KeepsChanging(PawmeshError):
    """Files of the data folder change all the time. Stop Pawmesh, then back up."""


class DatabaseFailed(PawmeshError):
    """One of PostgreSQL's programs failed; the message quotes it."""
