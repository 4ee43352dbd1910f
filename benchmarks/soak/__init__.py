"""Sweeps whose processes are killed at random moments, held against sweeps that nobody disturbed."""
