"""What only a machine with a GPU can tell: `make gpu-check`, or `python tests/gpu/check.py`.

Nothing here is a test that pytest collects by itself; `tests/test_gpu_*.py` try it on a CPU.
"""
