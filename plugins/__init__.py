"""Packages for collar and gateway: drop a folder in, and it runs. Authors import the SDK."""
