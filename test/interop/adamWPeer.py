"""PyTorch's side of adamW.test.ts: torch.optim.AdamW with three groups, float32.

Arguments: a JSON file, and the file to write [[values after each step] for each parameter] to. Prints {}.
"""

import json
import sys

import torch


def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    parameters = [torch.nn.Parameter(torch.tensor(one["start"])) for one in plan["parameters"]]
    groups = [
        {"params": [parameter], "weight_decay": one["decay"], "factor": one["factor"]}
        for parameter, one in zip(parameters, plan["parameters"])
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=plan["betas"], eps=plan["epsilon"])
    seen = [[] for _ in parameters]
    for step, rate in enumerate(plan["rates"]):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        for parameter, one in zip(parameters, plan["parameters"]):
            parameter.grad = torch.tensor(one["gradients"][step])
        optimizer.step()
        for values, parameter in zip(seen, parameters):
            values.append(parameter.tolist())
    with open(sys.argv[2], "w") as file:
        json.dump(seen, file)
    print("{}")


main()
