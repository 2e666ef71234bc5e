"""The flash log: what is kept until it is acknowledged, sealed, and what went for want of room."""
