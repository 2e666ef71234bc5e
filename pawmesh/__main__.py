"""``python -m pawmesh``, the same as ``pawmesh``."""

from pawmesh.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
