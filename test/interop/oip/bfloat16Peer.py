"""What Triton should have answered: the network of tritonTorchModel.py on one image, without a server.

bfloat16Peer.py STATE NETWORK PIXELS HEIGHT WIDTH: NETWORK is the keyword arguments of networks.build as JSON, PIXELS
a file of R G B bytes. Prints logits and feature [h, w, channels] as lists of numbers.
"""
import json
import sys

import torch

from networks import build

MEAN = torch.tensor([123.675, 116.28, 103.53])
STD = torch.tensor([58.395, 57.12, 57.375])

state, arguments, pixels, height, width = sys.argv[1:]
torch.set_num_threads(1)
network = build(**json.loads(arguments))
network.load_state_dict(torch.load(state, weights_only=True), strict=True)
network = network.eval().to(torch.bfloat16)
with open(pixels, "rb") as file:
    image = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
image = (image.reshape(1, int(height), int(width), 3).float() - MEAN) / STD
with torch.inference_mode():
    logits, _, feature = network(image.permute(0, 3, 1, 2).to(torch.bfloat16).contiguous())
maps = {"logits": logits, "feature": feature}
print(json.dumps({name: each[0].permute(1, 2, 0).float().flatten().tolist() for name, each in maps.items()}))
