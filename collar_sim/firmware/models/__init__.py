"""Models on the collar: their slots, their memory, their engines, and how a new one comes in."""
