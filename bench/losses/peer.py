"""The same losses in PyTorch, as autograd computes them: the peer of cirkdSide.ts.

One argument, a SideTask as JSON (sideReport.ts); prints a SideReport as JSON. Each ordered pair of
images by matmul, log_softmax and kl_div, all pairs summed, then one backward().
"""

import json
import sys
import time

import numpy
import torch
import torch.nn.functional as F

from compared_side import compared_inputs, compute_compared, gradient_of, is_compared
from peak_memory import peak_kib, start_peak
from recipe import CHUNK, recipe_values
from similarity_kl import minibatch_pixel, rows_kl

SALT = "bench/losses"
TEMPERATURE = 0.1
SAMPLES = 64
TILE = 1024
NO_RATES = {"student": 0, "teacher": 0, "gradient": 0}
BANK_ROWS = {"pixel": 19 * 216, "region": 19 * 54}


def row_values(name, rows, channels):
    return recipe_values(SALT, name, (rows, channels), -1, 1)


def unit_values(name, rows, channels):
    values = row_values(name, rows, channels)
    step = max(1, CHUNK // channels)
    for begin in range(0, rows, step):
        part = values[begin : begin + step]
        part /= numpy.linalg.norm(part, axis=1, keepdims=True)
    return values


def make_inputs(point):
    """The student's raw rows, the teacher's unit rows, the banks' unit rows."""
    if is_compared(point):
        return (compared_inputs(point),)
    rows = point["images"] * point["height"] * point["width"]
    channels = point["channels"]
    student = torch.from_numpy(row_values("student", rows, channels["student"]))
    teacher = torch.from_numpy(unit_values("teacher", rows, channels["teacher"]))
    banks = [
        torch.from_numpy(unit_values(f"bank/{name}", count, channels["teacher"]))
        for name, count in (BANK_ROWS.items() if point["loss"] == "memory" else [])
    ]
    return student.requires_grad_(), teacher, banks


def compute(point, *inputs):
    """Loss; the gradient is in the student's grad."""
    if is_compared(point):
        return compute_compared(point, *inputs)
    student, teacher, banks = inputs
    student.grad = None
    unit = F.normalize(student, dim=1)
    if point["loss"] == "memory":
        loss = sum(rows_kl(unit, bank, teacher, bank, TEMPERATURE) for bank in banks)
    else:
        images = point["images"]
        loss = minibatch_pixel(unit.chunk(images), teacher.chunk(images), TEMPERATURE)
    loss.backward()
    return loss.item()


def product_rates(point, student, teacher, banks, seconds):
    """FLOP a second of the plain products, walking the same tiles as products.ts."""
    student = student.detach()
    rows = [(s, t, s.T.contiguous(), t.T.contiguous()) for s, t in tiles(student, teacher)]
    memory = point["loss"] == "memory"
    columns = rows
    if memory:
        bank = torch.cat(banks)
        columns = [(s, t, s.T.contiguous(), t.T.contiguous()) for s, t in tiles(bank, bank)]
    spent, flop = {}, {}

    def product(kind, a, b):
        start = time.perf_counter()
        result = a @ b
        spent[kind] = spent.get(kind, 0) + time.perf_counter() - start
        flop[kind] = flop.get(kind, 0) + 2 * result.numel() * a.shape[1]
        return result

    end = None
    while end is None or time.perf_counter() < end:
        for a, row in enumerate(rows):
            for b, column in enumerate(columns):
                if not memory and b < a:
                    continue
                similarity = product("student", row[0], column[2])
                product("teacher", row[1], column[3])
                product("gradient", similarity, column[0])
                if not memory and a != b:
                    product("gradient", row[2], similarity)
                if end is None:  # the first pair warms up
                    spent, flop = {}, {}
                    end = time.perf_counter() + seconds
                if time.perf_counter() >= end and flop:
                    return {kind: flop[kind] / spent[kind] for kind in flop}
    return {kind: flop[kind] / spent[kind] for kind in flop}


def tiles(student, teacher):
    count = max(1, round(len(student) / TILE))
    length = len(student) // count
    return [
        (student[i * length : (i + 1) * length], teacher[i * length : (i + 1) * length])
        for i in range(count)
    ]


def repeat(task, inputs):
    point = task["point"]
    height, width = (64, 64) if point["loss"] == "skd_holistic" else (8, 16)
    small = {**point, "images": 2, "height": height, "width": width}
    compute(small, *make_inputs(small))
    ms = []
    begin = time.perf_counter()
    while len(ms) < task["maxRepetitions"]:
        start = time.perf_counter()
        loss = compute(point, *inputs)
        ms.append(1000 * (time.perf_counter() - start))
        if time.perf_counter() - begin >= task["maxSeconds"]:
            break
    peak = peak_kib()
    compared = is_compared(point)
    gradient = gradient_of(*inputs) if compared else inputs[0].grad.flatten()
    step = max(1, gradient.numel() // SAMPLES)
    measured = {
        "ms": ms,
        "loss": loss,
        "gradientNorm": gradient.double().norm().item(),
        "gradientSamples": gradient[: step * SAMPLES : step].tolist(),
        "flopPerSecond": NO_RATES if compared else product_rates(point, *inputs, task["productSeconds"]),
    }
    return measured, peak


def main():
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    inputs = make_inputs(task["point"])
    start_peak()
    measured, peak = (None, peak_kib()) if task["inputsOnly"] else repeat(task, inputs)
    report = {"peakKiB": peak, "engine": f"PyTorch {torch.__version__}", "measured": measured}
    print(json.dumps(report))


main()
