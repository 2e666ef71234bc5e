"""Tells the owner when the pet leaves a zone. Its entry is ``plugin.py``."""
