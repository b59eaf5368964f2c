"""Runs the slow tests, each file in a process of its own, a few side by side; see `make test-slow`.

TensorFlow keeps what it has traced for as long as a process lives: in one process the suite grew to
10 GB. pytest-xdist keeps its workers to the end as well, and has no way to renew them.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

#: Jobs that take minutes: one that is begun last keeps the others waiting for it.
_LONGEST = (
    "tests/test_docs.py",
    "tests/pipelines",
    "tests/components",
    "tests/trainers/ranking/test_rmtl",
)
#: Pages of the documentation share nothing, and each takes minutes.
_ONE_BY_ONE = "tests/test_docs.py"
_RESULT = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed)")
#: As each xdist worker has it: threads that wait for the other jobs' cost a tenth of the time.
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def jobs(paths: list[str]) -> list[str]:
    """Files with slow tests, and single tests where each takes minutes, longest first."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "slow", "--collect-only", "-q", *paths],
        capture_output=True,
        text=True,
    )
    if listed.returncode not in (0, 5):
        sys.exit(listed.stdout + listed.stderr)
    names = [line for line in listed.stdout.splitlines() if "::" in line]
    found = dict.fromkeys(
        name if name.startswith(_ONE_BY_ONE) else name.split("::")[0] for name in names
    )
    first = {name: place for place, name in enumerate(_LONGEST)}

    def place(job: str) -> int:
        return min((first[name] for name in first if job.startswith(name)), default=len(first))

    return sorted(found, key=place)


def run(job: str) -> tuple[str, Counter[str], float, float]:
    """A job's output, results, seconds and largest resident memory in GB."""
    begun = time.monotonic()
    environment = {**dict.fromkeys(_THREADS, "1"), **os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-m", "slow", "-q", job],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    last = output.strip().splitlines()[-1] if output.strip() else ""
    results = Counter({word: int(number) for number, word in _RESULT.findall(last)})
    if process.returncode and not results["failed"] + results["error"]:
        # A process that was killed, or ended before a test, has no closing line.
        results["error"] += 1
    return output, results, time.monotonic() - begun, usage.ru_maxrss / 2**20


def main() -> int:
    """Prints a line for each job, the output of those that fail, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="Test files or folders; all when none is named.")
    parser.add_argument("--side-by-side", type=int, default=2, help="Jobs at once; 2 GB each.")
    arguments = parser.parse_args()
    begun = time.monotonic()
    os.chdir(Path(__file__).resolve().parents[1])
    listed, sums, peak = jobs(arguments.paths), Counter(), 0.0
    with ThreadPoolExecutor(arguments.side_by_side) as pool:
        running = {pool.submit(run, job): job for job in listed}
        for number, done in enumerate(as_completed(running), 1):
            job, (output, results, seconds, memory) = running[done], done.result()
            sums, peak = sums + results, max(peak, memory)
            said = ", ".join(f"{count} {word}" for word, count in results.items())
            line = f"{number:3d}/{len(listed)} {job}: {said} in {seconds:.0f} s, {memory:.1f} GB"
            print(line, flush=True)
            if results["failed"] + results["error"]:
                print(output, flush=True)
    failed = sums["failed"] + sums["error"]
    minutes = (time.monotonic() - begun) / 60
    print(f"{minutes:.0f} minutes; the largest process had {peak:.1f} GB")
    print(f"{sums['passed']} passed, {failed} failed, {sums['skipped']} skipped")
    return 1 if failed or not sums["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
