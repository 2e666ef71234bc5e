"""Simulated collars: animals with ground truth, and the firmware that watches them."""
