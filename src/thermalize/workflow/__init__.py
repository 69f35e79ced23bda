"""What the Snakefile asks, free of numpy and torch: which steps there are, and what each depends on and takes.

settings    what results depend on among the settings
needs       what they are made from: other results, files of the user's own, modules
steps       every step: its settings, needs, outputs and modules
records     what results were made from
plan        all results as they are now, and which are current
marks       what Snakemake is told of it
why         the same in words
differences settings as keys and values
own         functions and files of the user's own that are not there
resolved    the configuration beside its results, and the lock on it
job         a command held against what it was planned with
resources   memory
estimates   time, memory and disk of an experiment, before anything runs
machine     what this machine has
doctor      which configurations fit it
"""
