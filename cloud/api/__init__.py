"""HTTP: the application, its dependencies, problems, limits, health and metrics."""
