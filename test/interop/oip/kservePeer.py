"""What KServe's Python client gets from a server. Prints one JSON object.

kservePeer.py ADDRESS MODEL FILE HEIGHT WIDTH: uint8 HWC in FILE; writes FILE.kserve.<output> of a request with raw
bytes, and fails where one with numbers as protobuf has them gives others.
"""
import asyncio
import json
import sys
from importlib.metadata import version

import grpc
import numpy
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

OUTPUTS = ["logits", "feature"]


async def main(address, model, file, height, width):
    pixels = numpy.fromfile(file, numpy.uint8).reshape((1, int(height), int(width), 3))
    raw, plain = InferInput("image", list(pixels.shape), "UINT8"), InferInput("image", list(pixels.shape), "UINT8")
    raw.set_data_from_numpy(pixels, binary_data=True)
    plain.data = pixels.ravel().tolist()
    async with InferenceGRPCClient(address, retries=0) as client:
        live, ready = await client.is_server_live(), await client.is_server_ready()
        model_ready = await client.is_model_ready(model)
        answers = []
        for tensor in (raw, plain):
            request = InferRequest(
                model, [tensor], request_id="7", request_outputs=[RequestedOutput(name) for name in OUTPUTS]
            )
            answer = await client.infer(request)
            assert answer.id == "7" and answer.model_name == model, (answer.id, answer.model_name)
            answers.append({name: answer.get_output_by_name(name).as_numpy() for name in OUTPUTS})
        for name, array in answers[0].items():
            assert numpy.array_equal(array, answers[1][name]), name
            array.tofile(f"{file}.kserve.{name}")
        try:
            await client.infer(InferRequest("stranger", [raw]))
            refused = "OK"
        except grpc.RpcError as error:
            refused = error.code().name
    print(
        json.dumps(
            {
                "version": version("kserve"),
                "live": live,
                "ready": ready,
                "modelReady": model_ready,
                "shapes": {name: list(array.shape) for name, array in answers[0].items()},
                "refused": refused,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
