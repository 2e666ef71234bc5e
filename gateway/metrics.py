"""What the gateway counts, at ``/metrics``."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("pawmesh_messages_total", "Messages stored", ["kind"])
REJECTED = Counter("pawmesh_rejected_total", "Messages refused", ["reason"])
ALERTS = Counter("pawmesh_alerts_total", "Alerts raised", ["plugin_id", "severity"])
ALERT_LATENCY = Histogram(
    "pawmesh_alert_latency_seconds",
    "From receipt of the confirming message to the alert leaving for the owner",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
PLUGIN_FAULTS = Counter("pawmesh_plugin_faults_total", "Failed plugin calls", ["plugin_id"])
WITHHELD = Counter("pawmesh_withheld_total", "Messages no grant lets out")
QUEUED = Counter("pawmesh_outbox_queued_total", "Messages a grant lets out", ["stream"])
SYNCED = Counter("pawmesh_outbox_synced_total", "Messages the cloud has taken")
SYNC_LAG = Gauge("pawmesh_sync_lag_seconds", "Age of the oldest message still to sync", ["stream"])
DELIVERIES = Gauge("pawmesh_model_deliveries", "Models on their way to collars", ["state"])
CONNECTED = Gauge("pawmesh_broker_connected", "1 while the broker is connected")
CLOUD_REACHABLE = Gauge("pawmesh_cloud_reachable", "1 while the cloud answers")
