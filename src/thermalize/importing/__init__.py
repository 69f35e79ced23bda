"""The user's own trajectories as the truth: files → archive → rows of a split → the same store as simulated.

    paths    which files there are, and when they last changed; free of xarray, for the Snakefile
    digests  their contents as SHA-256, which are read once
    files    one file: its variables and dimensions under the user's names
    grid     equidistant periodic axes
    times    times of any kind as numbers in one unit, and whether they are uniform
    archive  all files together, and frames out of them
    splits   which stretch of which member is a row of which split
    source   what `simulate` asks of a split: its layout, its shards, what it was made from

Metadata of all files are read and checked before anything is written; values are checked as they stream through.
"""
