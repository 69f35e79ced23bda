"""The user's own trajectories as the truth: files → archive → rows of a split → the same store as simulated.

    patterns   which files there are on this machine, and when they last changed; light, for the Snakefile
    paths      these and what lies at URLs, each of a kind that is read
    kinds      what a file is by its first bytes
    lengths    how long a file of NetCDF 3 must be
    finding    the variables that the configuration names
    written    which numbers of a Zarr store were never written, and chunks that were cut short
    missing    which numbers mean that there is none, and what the others mean
    plausible  what no field looks like
    files      one file: frames of it under the user's names
    grid       equidistant periodic axes
    times      times of any kind as numbers in one unit, and whether they are uniform
    archive    all files together, and frames out of them
    splits     which stretch of which member is a row of which split
    copies     members that are copies or continuations of others
    source     what `simulate` asks of a split: its layout, its shards, what it was made from (contents as SHA-256)

Metadata of all files are read and checked before anything is written; values are checked as they stream through.
"""
