"""What the cloud counts."""

from prometheus_client import Counter

ROWS = Counter("pawmesh_cloud_rows", "Rows of uplinks by what became of them.", ["outcome"])
PAID = Counter("pawmesh_cloud_paid_microtokens", "Micro-tokens paid for data.")
