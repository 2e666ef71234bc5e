"""What the collar does about its animal: models, epochs, flash log, seals, uplink."""
