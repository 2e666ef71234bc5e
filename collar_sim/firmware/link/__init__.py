"""To the broker and back: what is sent when, sent again, and answered."""
