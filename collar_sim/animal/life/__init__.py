"""How its days go: habits and temperament, scenarios, fits, what heart and lungs do meanwhile."""
