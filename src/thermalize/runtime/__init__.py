"""Ground tools that know nothing of what they are used for.

errors     what a user can mend, in one sentence
files      atomic writes, locks, what a disk says
streams    random numbers that follow from a seed and a purpose
devices    the device to compute on, leases of GPUs
progress   bars, and sparse lines in a log file
terminal   any terminal, also one of ASCII
revision   the version of the code
"""
