"""PyTorch's side of taskLoss.test.ts: weighted cross entropy and OHEM on enlarged logits, by autograd.

Arguments: a JSON file of cases, and the file to write [{loss, gradient}] to, with the gradient in [N, h, w, K]
order. Prints {}. In float64.
"""

import json
import sys

import torch
import torch.nn.functional as F


def loss_of(logits, labels, case):
    full = F.interpolate(
        logits, size=labels.shape[1:], mode="bilinear", align_corners=case["alignCorners"]
    )
    weights = case["classWeights"]
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    ohem = case["ohem"]
    if ohem is not None:
        with torch.no_grad():
            known = labels != 255
            own = F.softmax(full, 1).gather(1, labels.where(known, 0).unsqueeze(1)).squeeze(1)
            ranked = own[known].sort().values
            limit = ranked[min(ohem["minKept"], ranked.numel()) - 1].item()
            hard = known & ((own < ohem["threshold"]) | (own <= limit))
        labels = labels.where(hard, 255)
    return F.cross_entropy(full, labels, weight=weight, ignore_index=255)


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    results = []
    for case in cases:
        logits = torch.tensor(case["logits"], dtype=torch.float64).reshape(case["shape"])
        logits = logits.permute(0, 3, 1, 2).contiguous().requires_grad_()
        labels = torch.tensor(case["labels"]).reshape(case["labelShape"])
        loss = loss_of(logits, labels, case)
        loss.backward()
        gradient = logits.grad.permute(0, 2, 3, 1).flatten()
        results.append({"loss": loss.item(), "gradient": gradient.tolist()})
    with open(sys.argv[2], "w") as file:
        json.dump(results, file)
    print("{}")


main()
