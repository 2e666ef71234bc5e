"""How long tests wait for what must come true."""

PATIENCE_S = 120.0
"""An upper bound, reached only by what is broken: a machine that does ten other things is slow, and
that is no defect. What waits returns as soon as it holds; pytest's own limit is longer."""
