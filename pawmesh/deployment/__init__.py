"""The production form: what ``compose.yaml`` needs before its first start, and who lives in it."""
