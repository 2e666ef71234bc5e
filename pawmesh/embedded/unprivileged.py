"""PostgreSQL refuses to be root: how root runs it as someone else.

The other user often cannot reach the files: a checkout in root's own home, a data folder in a
private temporary one. Instead of opening those folders to everyone, the program gets the one
capability it needs to walk through them, and nothing that the user owns changes its mode.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pawmesh.errors import MissingInstall, NoAccess

USERS = ("postgres", "nobody")  # the first that exists
# weakest first: none at all, walk and read, walk, read and execute whatever the mode
CAPABILITIES = ("", "dac_read_search", "dac_override")


@dataclass(frozen=True)
class Account:
    """Whom a program runs as."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> "Account | None":
        """The owner of an existing folder or a system user; None when we are not root."""
        if os.geteuid() != 0:
            return None
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        for name in USERS:
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(found.pw_uid, found.pw_gid)
        return cls(65534, 65534)  # what "nobody" is on Linux, with or without a name

    def command(self, argv: Sequence[str], capability: str = "") -> list[str]:
        """The command line that runs ``argv`` as this account, with at most one capability.

        ``no_setuid_fixup`` makes ``access(2)`` honour the capability; PostgreSQL asks it.
        ``pdeathsig keep`` carries the leash over the change of user, which would cut it.
        """
        rights: tuple[str, ...] = ()
        if capability:
            hand_on = ("--inh-caps", f"+{capability}", "--ambient-caps", f"+{capability}")
            rights = (*hand_on, "--securebits", "+no_setuid_fixup")
        return [
            *("setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups"),
            *("--pdeathsig", "keep", *rights, "--", *argv),
        ]

    def least_capability(self, program: Path, folder: Path) -> str:
        """The weakest capability with which this account can run the program in the folder.

        Raises:
            MissingInstall: ``setpriv`` is missing.
            NoAccess: No capability helps, or we may not hand one on.
        """
        if shutil.which("setpriv") is None:
            raise MissingInstall(
                "To run as root, Pawmesh needs setpriv. Install it: apt-get install -y util-linux. "
                "Or start Pawmesh as an ordinary user"
            )
        said = ""
        for capability in CAPABILITIES:
            said = self._refusal(program, folder, capability)
            if not said:
                return capability
        raise NoAccess(
            f"As root, the database runs as user {self.uid}, who cannot reach {program} or "
            f"{folder} ({said}). Start Pawmesh as an ordinary user, or put the checkout and "
            "--data-dir where every user may enter, such as /srv/pawmesh"
        )

    def _refusal(self, program: Path, folder: Path, capability: str) -> str:
        """Why the account cannot use both, or nothing."""
        # through a shell: setpriv itself may still execute what the account no longer may
        probe = ("sh", "-c", '"$0" --version && ls "$1"', str(program), str(folder))
        tried = subprocess.run(
            self.command(probe, capability), capture_output=True, text=True, cwd="/", check=False
        )
        if tried.returncode == 0:
            return ""
        return (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
