"""``pawmesh models``: how the collars' models are made and looked at."""
