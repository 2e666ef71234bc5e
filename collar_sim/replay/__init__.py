"""Recordings of real animals in the simulated one's place, through the same firmware."""
