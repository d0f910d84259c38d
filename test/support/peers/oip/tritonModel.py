"""A model of Triton's Python backend, as its config.pbtxt says in its parameters:

onnx     file beside this one, run by onnxruntime with `threads` threads
fixed    shapes of the outputs, which are the same for every request
delayMs  that an answer takes besides
"""
import json
import os
import sys
import time

sys.path[:0] = os.environ["CIRKD_PEER_PACKAGES"].split(os.pathsep)

import numpy
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self.inputs = [each["name"] for each in config["input"]]
        self.outputs = {
            each["name"]: backend.triton_string_to_numpy(each["data_type"]) for each in config["output"]
        }
        self.delay = float(parameters["delayMs"]) / 1000
        self.session = None
        if "onnx" in parameters:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = int(parameters["threads"])
            path = os.path.join(args["model_repository"], args["model_version"], parameters["onnx"])
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        else:
            shapes = json.loads(parameters["fixed"])
            self.fixed = [
                backend.Tensor(name, numpy.full(shape, 0.5, dtype))
                for (name, dtype), shape in zip(self.outputs.items(), shapes, strict=True)
            ]

    def execute(self, requests):
        return [backend.InferenceResponse(self.answer(request)) for request in requests]

    def answer(self, request):
        time.sleep(self.delay)
        if self.session is None:
            return self.fixed
        wanted = [name for name in self.outputs if name in request.requested_output_names()]
        feeds = {
            name: backend.get_input_tensor_by_name(request, name).as_numpy().astype(numpy.float32, copy=False)
            for name in self.inputs
        }
        arrays = self.session.run(wanted, feeds)
        return [
            backend.Tensor(name, array.astype(self.outputs[name], copy=False))
            for name, array in zip(wanted, arrays, strict=True)
        ]
