"""What the Snakefile asks, free of numpy and torch: which steps there are, and what each depends on and takes.

steps       every step: its settings, needs, outputs and modules
recipes     what results were made from, and which are current
why         the same in words
differences settings as keys and values
resolved    the configuration beside its results, and the lock on it
job         a command held against what it was planned with
resources   memory
estimates   time, memory and disk of an experiment, before anything runs
machine     what this machine has
doctor      which configurations fit it
"""
