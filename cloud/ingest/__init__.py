"""The uplink: what gateways send is proven, held to its grants, and stored exactly once."""
