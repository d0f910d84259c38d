"""Writes a network of this project as PyTorch computes it to an ONNX file.

deeplabExport.py STATE.pth OUT.onnx CLASSES WIDTH: input `image`, normalised, [n, 3, h, w]; outputs `logits` and
`feature` of stride 8. Prints the feature's channels.
"""
import json
import sys

import torch

from networks import build


class Teacher(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        logits, _, feature = self.network(image)
        return logits, feature


state, out, classes, width = sys.argv[1:]
network = build("deeplab_mobile", "mobilenetv2", "v1", int(classes), width=float(width))
network.load_state_dict(torch.load(state, weights_only=True), strict=True)
teacher = Teacher(network.eval())
image = torch.zeros(2, 3, 64, 128)
dimensions = {0: "images", 2: "height", 3: "width"}
torch.onnx.export(
    teacher,
    (image,),
    out,
    input_names=["image"],
    output_names=["logits", "feature"],
    dynamic_shapes=(dimensions,),
    external_data=False,
    verbose=False,
)
print(json.dumps({"channels": teacher(image)[1].shape[1]}))
