"""A CUDA runtime that does nothing: torch's code for a GPU runs on a machine without one."""
