"""What can go wrong when the page asks."""


class GatewayTrouble(Exception):
    """The gateway did not give what was asked. The message is a sentence for the page's reader."""
