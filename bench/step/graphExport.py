"""Exports the torchvision network whose weights lie in a folder, as docs/teachers.md has it.

graphExport.py FOLDER CLASSES      reads network.pth, writes teacher.onnx
"""
import sys

import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

folder, classes = sys.argv[1], int(sys.argv[2])
net = torchvision.models.segmentation.deeplabv3_resnet50(
    weights=None, weights_backbone=None, num_classes=classes, aux_loss=True
)
net.load_state_dict(torch.load(f"{folder}/network.pth", weights_only=True))
net = create_feature_extractor(
    net.eval(), {"classifier.3": "feature", "classifier.4": "logits"}
)
torch.onnx.export(
    net,
    (torch.zeros(2, 3, 64, 128),),
    f"{folder}/teacher.onnx",
    input_names=["image"],
    output_names=["feature", "logits"],
    dynamic_shapes=({0: "images", 2: "height", 3: "width"},),
)
