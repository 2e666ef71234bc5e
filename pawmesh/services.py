"""``pawmesh gateway`` and ``pawmesh cloud``: one service alone, as where each has its machine."""


def gateway_command() -> int:
    """Run one gateway alone, configured by GATEWAY_ variables (see docs/reference/settings.md)."""
    from gateway.__main__ import main

    return main()


def cloud_command() -> int:
    """Run the cloud alone, configured by CLOUD_ variables (see docs/reference/settings.md)."""
    from cloud.__main__ import main

    return main()
