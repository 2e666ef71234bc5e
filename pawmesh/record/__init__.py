"""``pawmesh record``: what went over the wire, kept on a tape and given back from it."""
