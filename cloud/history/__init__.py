"""What a pet did, as far as it was granted: last state and history for its owner."""
