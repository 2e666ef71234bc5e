"""The cloud: stores what was granted, pays for it, learns from it. One folder per capability."""
