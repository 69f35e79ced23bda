"""What only a machine with a GPU can tell: `make gpu-check`, or `python tests/gpu/check.py`.

Of these files pytest collects `test_*.py` alone, which try the others on a CPU.
"""
