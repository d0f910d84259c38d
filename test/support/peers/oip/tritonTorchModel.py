"""A model of Triton's Python backend that PyTorch computes in bfloat16: weights, input and outputs.

Its config.pbtxt has in the parameters: `state`, a file beside this one; `network`, the keyword arguments of
networks.build as JSON; `delayMs`, what an answer takes besides.

NumPy has no bfloat16, so the tensors come and go by DLPack.
"""
import json
import os
import sys
import time

sys.path[:0] = os.environ["CIRKD_PEER_PACKAGES"].split(os.pathsep)

import torch
import triton_python_backend_utils as backend
from networks import build


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self.input = config["input"][0]["name"]
        self.outputs = [each["name"] for each in config["output"]]
        self.delay = float(parameters["delayMs"]) / 1000
        torch.set_num_threads(1)
        network = build(**json.loads(parameters["network"]))
        path = os.path.join(args["model_repository"], args["model_version"], parameters["state"])
        network.load_state_dict(torch.load(path, weights_only=True), strict=True)
        self.network = network.eval().to(torch.bfloat16)

    def execute(self, requests):
        return [backend.InferenceResponse(self.answer(request)) for request in requests]

    def answer(self, request):
        time.sleep(self.delay)
        given = backend.get_input_tensor_by_name(request, self.input)
        image = torch.from_dlpack(given.to_dlpack())
        with torch.inference_mode():
            logits, _, feature = self.network(image)
        maps = {"logits": logits, "feature": feature}
        wanted = [name for name in self.outputs if name in request.requested_output_names()]
        return [backend.Tensor.from_dlpack(name, maps[name].contiguous()) for name in wanted]
