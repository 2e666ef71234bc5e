"""The servers that Pawmesh brings along, and the supervisor that keeps the house running."""
