"""Where it is: home and garden, streets, rooms, walks out, a collar left behind."""
