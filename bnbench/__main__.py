"""``python -m bnbench`` is the same program as ``bnbench``."""

from bnbench.cli import program

if __name__ == "__main__":
    program()
