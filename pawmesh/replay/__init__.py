"""``pawmesh replay``: a recording of real animals takes the simulated ones' place."""
