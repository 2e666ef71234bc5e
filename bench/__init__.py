"""Every figure we state, measured beside its limit or its peer in one run."""
