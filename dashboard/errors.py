"""What can go wrong when the page asks. Every message is a sentence for the page's reader."""


class Trouble(Exception):
    """A service did not give what was asked."""


class GatewayTrouble(Trouble):
    """The gateway did not give what was asked."""


class GatewayOlder(GatewayTrouble):
    """The gateway does not know the question: it is of an older version."""


class CloudTrouble(Trouble):
    """The cloud did not give what was asked."""


class CloudAway(CloudTrouble):
    """The cloud cannot be reached, or does not work: nothing was decided."""


class CloudOlder(CloudTrouble):
    """The cloud does not know the question: it is of an older version."""


class WrongPassword(CloudTrouble):
    """The cloud knows no such email with this password."""


class SignedOut(CloudTrouble):
    """The cloud does not take the session's token any more."""


class TooManyTries(CloudTrouble):
    """The cloud asks to wait."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s
