"""What data earns: scores, the double-entry ledger, emission periods."""
