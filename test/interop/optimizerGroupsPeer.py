"""mmsegmentation's side of optimizerGroups.test.ts. Prints one JSON object.

groups    of its config's optimizer for SegFormer-B0, as mmengine builds them: for each parameter its factor on the
          learning rate and its weight decay
rates     torch's own schedulers, warm-up and polynomial decay chained: for each step the rate of two groups,
          one with ten times the other's
Argument: a JSON file with steps, warmupSteps, polyPower and learningRate of each schedule.
"""
import json
import sys
from unittest import mock

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.optim.optimizer import default_constructor
from torch.optim.lr_scheduler import ChainedScheduler, LinearLR, PolynomialLR

import published


def groups():
    config = published.mmseg_config("mmseg_segformer", "mit_b0")
    network = published.build_mmseg("mmseg_segformer", "mit_b0", 19, False, False)
    # It looks for mmcv's compiled operators, which published.py stands in for.
    with mock.patch.object(default_constructor, "mmcv_full_available", return_value=False):
        optimizer = build_optim_wrapper(network, config.optim_wrapper).optimizer
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    base = config.optim_wrapper.optimizer.lr
    return {
        names[id(parameter)]: [group["lr"] / base, group["weight_decay"]]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def rates(schedule):
    base = schedule["learningRate"]
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.AdamW(
        [{"params": [parameter], "lr": base * factor} for parameter, factor in zip(parameters, (1, 10))]
    )
    warmup = schedule["warmupSteps"]
    chained = [PolynomialLR(optimizer, schedule["steps"], schedule["polyPower"])]
    if warmup > 1:
        chained.append(LinearLR(optimizer, 1 / warmup, 1, warmup - 1))
    scheduler = ChainedScheduler(chained, optimizer)
    seen = []
    for _ in range(schedule["steps"]):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    json.dump({"groups": groups(), "rates": [rates(schedule) for schedule in plan]}, sys.stdout)


main()
