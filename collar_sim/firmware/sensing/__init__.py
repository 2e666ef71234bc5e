"""From samples to what is said of them: checks, windows, seconds, bouts, events, fixes."""
