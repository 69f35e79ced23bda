"""What the Snakefile asks, free of numpy and torch: which steps there are, and what each depends on and takes.

plan        figures, GPUs, files and settings of every step
code        the modules that a step runs
resolved    the configuration beside its results, and the lock on it
job         a command held against what it was planned with
resources   memory
estimates   time, memory and disk of an experiment, before anything runs
machine     what this machine has
doctor      which configurations fit it
"""
