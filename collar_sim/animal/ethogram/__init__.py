"""What animals do, and how it is written down: gaits, bouts, rides, episodes of illness."""
