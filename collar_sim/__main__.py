"""``python -m collar_sim``."""

import sys

from collar_sim.main import app

if __name__ == "__main__":
    sys.exit(app())
