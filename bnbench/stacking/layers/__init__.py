"""Layers of K lanes."""
