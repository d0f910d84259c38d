"""PyTorch's measured process, the peer of cirkdSide.ts; side.ts starts it. See protocol.ts."""

import json
import sys

import torch

from peak_memory import peak_kib, resident_kib, start_peak
from peer_works import WORKS


def say(message):
    print(json.dumps(message), flush=True)


def main():
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    start = resident_kib()
    work = WORKS[task["case"]["kind"]](task)
    start_peak()
    say({"engine": f"PyTorch {torch.__version__}", "startKiB": start})
    for line in sys.stdin:
        request = json.loads(line)["do"]
        if request == "peak":
            say({"peakKiB": peak_kib()})
        else:
            say(getattr(work, request)())


main()
