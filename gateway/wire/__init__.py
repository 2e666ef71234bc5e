"""The contract of collar, gateway and cloud: topics, messages, seals, sessions.

This is all that others see of the gateway. Devices are built to it; see
``docs/reference/wire.md`` and ``docs/how-to/bring-your-own-collar.md``.
"""
