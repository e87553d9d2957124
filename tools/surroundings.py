"""Surroundings that need a shell, the superuser or a fresh Python each: `python -m
tools.surroundings [WORDS]`.

Each case is a script of the shell with what it must print, in which `$G` is the program and `$?`
its status. It runs cold and, where a server may serve it, warm, and both must print the same. Cases
whose means are missing are skipped: only the superuser can mount a small disk or become nobody.
WORDS choose the cases whose names hold them. Ends with 1 where a case failed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from tests.program import ROOT
from tests.warm import Server

NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
"""Nobody may read all files, for Python may be installed in the superuser's home, and write
none."""
DISK = "mkdir disk; mount -t tmpfs -o size=64k none disk; cd disk; "


@dataclass(frozen=True)
class Case:
    """`printed` is the whole of standard output, `said` stands somewhere on stderr (empty: nothing
    at all stands there).
    """

    name: str
    script: str
    printed: str
    said: str = ""
    needs: tuple[str, ...] = ()
    alone: bool = False
    """Whether it holds for cold calls only."""


VALUE = "grad 'x**2' x=3 --get value"


def disk(suffix: str, words: str) -> Case:
    script = (
        f"{DISK}echo old > r.{suffix}; $G {words} --out r.{suffix}; echo $?; ls -A; cat r.{suffix}"
    )
    return Case(
        f"a full disk: {suffix}", script, f"2\nr.{suffix}\nold\n", "cannot be written", ("unshare",)
    )


CASES = [
    *(
        Case(f"variables: {more}", f"env {more} $G {VALUE}; echo $?", "9.0\n0\n")
        for more in (
            "-u HOME", "HOME=/nonexistent", "HOME=/proc", "-u TERM", "TERM=none", "LC_ALL=C", "LC_ALL=POSIX", "LC_ALL=none",
            "PYTHONUTF8=0 LC_ALL=C", "PYTHONUTF8=1", "PYTHONOPTIMIZE=2", "PYTHONWARNINGS=error", "PYTHONDEVMODE=1",
            "PYTHONIOENCODING=ascii:strict", "PYTHONIOENCODING=cp437", "PYTHONIOENCODING=big5", "PYTHONUNBUFFERED=1",
            "TMPDIR=/nonexistent", "COLUMNS=1", "LINES=0", "-u PATH", "XDG_STATE_HOME=/nonexistent",
        )
    ),
    *(
        Case(f"the server's folder: {more}", f"env {more} $G {VALUE}; echo $?", "9.0\n0\n")
        for more in (
            "-u XDG_RUNTIME_DIR", "XDG_RUNTIME_DIR=", "XDG_RUNTIME_DIR=/nonexistent", "XDG_RUNTIME_DIR=/dev/null",
            "XDG_RUNTIME_DIR=/tmp", "XDG_RUNTIME_DIR=" + "/tmp" * 50, "XDG_RUNTIME_DIR=relative",
        )
    ),
    Case("words that are no text", "$G grad $'x*\\xff' x=1; echo $?", "2\n", "invalid character"),
    Case("a file whose name is no text", "echo 1,2 > $'\\xff.csv'; $G grad 'x.sum()' x=@$'\\xff.csv' --get value", "3.0\n"),
    Case("few descriptors", f"ulimit -n 16; $G {VALUE}; echo $?", "9.0\n0\n"),
    Case("a small stack", f"ulimit -s 256; $G {VALUE}; echo $?", "9.0\n0\n"),
    Case("too little memory", f"ulimit -v 200000; $G {VALUE}; echo $?", "2\n", "error: PyTorch cannot be loaded", alone=True),
    Case("little memory", f"ulimit -v 500000; $G {VALUE}; echo $?", "2\n", "error: ", alone=True),
    Case("little processor time", "ulimit -St 9; $G grad 'A=rand(4000,4000)*x; A=A@A; A=A@A; A=A@A; A=A@A; A.sum()' x=1 "
         "--timeout 0; echo $?", "2\n", "error: it used more CPU time than this shell allows", alone=True),
    Case("no folder", f"mkdir gone; cd gone; rmdir ../gone; $G {VALUE}; echo $?", "9.0\n0\n"),
    Case("a process for a file", "$G grad 'x.sum()' x=@<(echo 1); echo $?", "2\n", "pipe it in"),
    Case("standard input without an end", "$G grad 'x.sum()' x=- < /dev/zero; echo $?", "2\n", "standard input: 134,217,729"),
    Case("no /proc", f"mount -t tmpfs none /proc; $G {VALUE}; echo $?", "9.0\n0\n", "", ("unshare",)),
    Case("no /dev/shm", f"mount -t tmpfs -o ro none /dev/shm; $G {VALUE}; echo $?", "9.0\n0\n", "", ("unshare",)),
    Case("no /dev", f"mount -t tmpfs none /dev; $G {VALUE}; echo $?", "2\n", "error: PyTorch cannot be loaded", ("unshare",),
         alone=True),
    Case("a home that is read only", f"mkdir h; mount -t tmpfs -o ro none h; env HOME=h $G {VALUE}; echo $?", "9.0\n0\n", "",
         ("unshare",)),
    disk("json", "activate relu --x 'ones(300000)'"),
    disk("csv", "activate relu --x 'ones(300000)'"),
    disk("npy", "activate relu --x 'ones(300000)'"),
    disk("npz", "activate relu --x 'ones(300000)'"),
    Case("a disk that is read only", f"mkdir disk; mount -t tmpfs -o ro none disk; $G {VALUE[:-12]} --out disk/r.json; "
         "echo $?; ls disk", "2\n", "read-only file system", ("unshare",)),
    Case("a full disk for standard output", f"{DISK}$G activate relu --x 'ones(300000)' --csv > o; echo $?", "2\n",
         "error: standard output cannot be written: no space left on device", ("unshare",)),
    Case("nobody", f"{NOBODY} $G {VALUE}; echo $?", "9.0\n0\n", "", ("setpriv",), alone=True),
    Case("a folder of somebody else", f"mkdir ro; {NOBODY} $G {VALUE[:-12]} --out ro/r.json; echo $?; ls -A ro", "2\n",
         "permission denied", ("setpriv",), alone=True),
    Case("a file of somebody else", f"echo old > r.json; {NOBODY} $G {VALUE[:-12]} --out r.json; echo $?; cat r.json",
         "2\nold\n", "no permission to write", ("setpriv",), alone=True),
    Case("nobody and a umask", f"mkdir my; chmod 777 my; umask 777; {NOBODY} $G {VALUE[:-12]} --out my/r.json; echo $?; "
         "stat -c %a my/r.json", "wrote my/r.json\n0\n0\n", "", ("setpriv",), alone=True),
    Case("no more processes", f"{NOBODY} bash -c \"ulimit -u 1; exec $G {VALUE}\"; echo $?", "2\n", "error: the system refused",
         ("setpriv",), alone=True),
    Case("Big5", f"localedef -i zh_TW -f BIG5 $PWD/zh_TW.BIG5 2>&-; env LOCPATH=$PWD LC_ALL=zh_TW.BIG5 PYTHONUTF8=0 $G "
         f"{VALUE[:-12]} --out $'\\xa4\\xa4.json' | iconv -f BIG5 -t UTF-8; ls *.json | iconv -f BIG5 -t UTF-8",
         "wrote \u4e2d.json\n\u4e2d.json\n", "", ("localedef", "iconv"), alone=True),
]  # fmt: skip


def missing(case: Case) -> str:
    """What a case needs and this system has not."""
    root_only = {"unshare", "setpriv"} & set(case.needs)
    if root_only and os.geteuid() != 0:
        return "the superuser"
    return next((tool for tool in case.needs if not shutil.which(tool)), "")


def tried(case: Case, env: dict[str, str]) -> tuple[str, str]:
    """What a case prints and says."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shell = ["bash", "-c", case.script.replace("$G", f"{sys.executable} -m gradcli")]
        command = ["unshare", "-m", *shell] if "unshare" in case.needs else shell
        done = subprocess.run(
            command, capture_output=True, env=env, cwd=folder, stdin=subprocess.DEVNULL, check=False
        )
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def main() -> int:
    """Try every case; 1 where one failed."""
    failed = done = 0
    chosen = [case for case in CASES if all(word in case.name for word in sys.argv[1:])]
    with Server() as server:
        plain = {**server.env, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ROOT}
        del plain["PYTHONIOENCODING"]
        for case in chosen:
            if lack := missing(case):
                print(f"skipped  {case.name}: needs {lack}")
                continue
            for env in [{**plain, "GRADCLI_SERVER": "off"}, *([] if case.alone else [plain])]:
                printed, said = tried(case, env)
                done += 1
                if (
                    printed == case.printed
                    and (case.said in said if case.said else not said)
                    and "Traceback" not in said
                ):
                    continue
                failed += 1
                print(
                    f"FAILED   {case.name} ({'cold' if 'GRADCLI_SERVER' in env else 'warm'}): {printed!r} {said!r}"
                )
    print(f"{done} calls, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
