"""Each peer as its own documentation would write it; ``python -m benchmarks.peers.NAME JOB.json`` prints its times."""
