"""Prints the devices of a job once all that it waits for have begun: NAME GPUS JOB..."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from thermalize.runtime.leases import lease

name, gpus, *together = sys.argv[1:]
Path(f"{name}.begun").touch()
while not all(Path(f"{job}.begun").exists() for job in together):
    time.sleep(0.1)
if int(gpus):
    lease(int(gpus))
print(os.environ.get("CUDA_VISIBLE_DEVICES"))
