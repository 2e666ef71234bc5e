"""The door: received, validated, committed, and only then acknowledged to broker and collar."""

from gateway.ingest.admission import BATCH_LIMIT, Heard
from gateway.ingest.ingest import LINGER_S, Ingest

__all__ = ["BATCH_LIMIT", "LINGER_S", "Heard", "Ingest"]
