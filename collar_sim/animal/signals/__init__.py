"""What of all that reaches the collar: motion, satellites, WiFi and the radio to the broker."""
