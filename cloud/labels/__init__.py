"""What owners say that their pets did: what models learn from."""
