"""A whole cluster on one machine: munged, slurmctld, slurmd, and two GPUs that are device nodes and nothing else.

Clients find their cluster through /etc/slurm alone, because Snakemake's jobs drop all variables of Slurm. What lies
there is put aside while the cluster runs and put back afterwards, also after a run that was killed.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

SYSTEM = Path("/etc/slurm")
ASIDE = Path("/etc/slurm.aside")
GRES = "AutoDetect=off\nName=gpu Type=a100 File={folder}/nvidia[0-1]\n"
CGROUP = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainDevices=no\n"
# Memory and cores are as declared, whatever the machine has.
SLURM = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MinJobAge=3600
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 RealMemory=8000 Gres=gpu:a100:2 State=UNKNOWN
{partitions}
"""


class Cluster:
    """A running cluster of one node, with partitions of the names that are given."""

    def __init__(self, *partitions: str) -> None:
        self.partitions = partitions
        self._exit = ExitStack()

    def __enter__(self) -> Cluster:
        with self._exit as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
            self.folder.chmod(0o755)
            stack.callback(_restore)
            self._configure()
            munged = ["munged", "--foreground", "--key-file", "munge.key", "--seed-file", "munge.seed"]
            files = ("--socket", "munge.socket", "--pid-file", "munge.pid", "--log-file", "munge.log")
            for command in ([*munged, *files], ["slurmctld", "-D"], ["slurmd", "-D"]):
                self._start([str(self.folder / word) if word.startswith("munge.") else word for word in command])
            stack.callback(self.cancel_all)
            self._wait_for(lambda: output("sinfo", "--noheader", "--format", "%T").split()[:1] == ["idle"])
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def running(self) -> dict[str, str]:
        """Numbers of the running jobs by their comment, which names the rule."""
        listed = output("squeue", "--noheader", "--states", "RUNNING", "--format", "%k %A").splitlines()
        return dict(line.split(maxsplit=1) for line in listed)

    def cancel_all(self) -> None:
        output("scancel", "--user", "root")
        self._wait_for(lambda: not output("squeue", "--noheader"))

    def _configure(self) -> None:
        _restore()
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        for number, device in enumerate((os.makedev(1, 3), os.makedev(1, 5))):
            os.mknod(self.folder / f"nvidia{number}", 0o666 | stat.S_IFCHR, device)
        if SYSTEM.exists():
            SYSTEM.rename(ASIDE)
        SYSTEM.mkdir()
        (SYSTEM / ".tests").touch()
        names = "\n".join(f"PartitionName={name} Nodes=ALL State=UP MaxTime=INFINITE" for name in self.partitions)
        values = {"folder": self.folder, "host": socket.gethostname().split(".")[0], "ports": _free_ports()}
        for name, text in {"slurm.conf": SLURM, "gres.conf": GRES, "cgroup.conf": CGROUP}.items():
            (SYSTEM / name).write_text(text.format(**values, partitions=names))

    def _start(self, command: list[str]) -> None:
        log = (self.folder / f"{command[0]}.out").open("wb")
        command = ["setpriv", "--pdeathsig", "KILL", *command]  # also where the tests are killed
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        self._exit.callback(process.wait)
        self._exit.callback(process.terminate)
        self._exit.callback(log.close)

    def _wait_for(self, condition: Callable[[], object]) -> None:
        for _ in range(600):
            if condition():
                return
            time.sleep(0.1)
        files = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        logs = (f"{path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in files)
        raise AssertionError("waited in vain for the cluster:\n" + "\n".join(logs))


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _restore() -> None:
    """Puts the machine's own configuration back where tests, also killed ones, have put it aside."""
    if (SYSTEM / ".tests").exists():
        shutil.rmtree(SYSTEM)
    if ASIDE.exists():
        ASIDE.rename(SYSTEM)


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, other)]
