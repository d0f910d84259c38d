"""Runs an export as docs/teachers.md has it, and says what PyTorch gives for the same images.

graphExportPeer.py TASK: JSON with folder (where the code runs), code, replace (texts of the code), published (whether mmsegmentation's stand-ins are
needed), mean, std, images ([{file, height, width}]: uint8 HWC). Writes beside each image feature and logits, [h, w, C].
"""
import ast
import json
import os
import sys

import numpy
import torch

task = json.loads(sys.argv[1])
code = task["code"]
if task["published"]:
    import published

    task["replace"]["CONFIG.py"] = os.path.join(published.CONFIGS, task["replace"]["CONFIG.py"])
for old, new in task["replace"].items():
    assert code.count(old) == 1, f"{old}: wanted once in\n{code}"
    code = code.replace(old, new)

assert len(ast.parse(code).body) <= 5, "five statements, the page says"
os.chdir(task["folder"])
torch.manual_seed(3)
names = {}
exec(code, names)
net = names["net"]
mean, std = torch.tensor(task["mean"]), torch.tensor(task["std"])
with torch.inference_mode():
    for image in task["images"]:
        shape = (1, image["height"], image["width"], 3)
        rgb = torch.from_numpy(numpy.fromfile(image["file"], numpy.uint8).reshape(shape).copy())
        outputs = net(((rgb - mean) / std).permute(0, 3, 1, 2))
        if not isinstance(outputs, dict):
            outputs = dict(zip(("feature", "logits"), outputs))
        for name, tensor in outputs.items():
            tensor[0].permute(1, 2, 0).contiguous().numpy().tofile(f"{image['file']}.{name}")
print(json.dumps({"torch": torch.__version__}))
