"""How lively the pet is against its own usual day. Its entry is ``plugin.py``."""
