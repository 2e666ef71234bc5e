"""The models there are: shipped, trained or uploaded; signed, and the one that is best."""
