"""The time of a whole sweep: bnbench beside the ways people train one today, on the same work."""
