"""Layers that the compiled code has no kind for, translated into C from the operations that torch makes of them."""
