"""What is of one animal alone: its size, its legs and neck, its rhythms, its collar and sensor."""
