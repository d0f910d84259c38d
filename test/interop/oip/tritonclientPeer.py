"""What Triton's own client gets from a server. Prints one JSON object.

facts ADDRESS MODEL           metadata, configuration, index, statistics, readiness
infer ADDRESS MODEL IMAGES    IMAGES: JSON, [{file, height, width}], uint8 HWC in FILE. Each alone by ModelInfer, by
                              the asyncio client all at once, and by ModelStreamInfer; writes FILE.<output> of the
                              first way and fails where another way gives other bytes
errors ADDRESS MODEL          what requests that are wrong are answered with: {case: [code, message]}
"""
import asyncio
import json
import queue
import sys

import numpy
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException

OUTPUTS = ["logits", "embedding", "feature_norm", "feature", "logits_fp16", "feature_fp16"]


def facts(client, _, model):
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready(model),
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(model, as_json=True),
        "config": client.get_model_config(model, as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "statistics": client.get_inference_statistics(model, as_json=True),
    }


def image_of(pixels):
    tensor = grpc.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    return tensor


def requested(names):
    return [grpc.InferRequestedOutput(name) for name in names]


def arrays_of(result):
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def assert_same(got, wanted, what):
    assert got.keys() == wanted.keys(), f"{what}: {list(got)}, wanted {list(wanted)}"
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype and numpy.array_equal(got[name], array), f"{what}: {name}"


def infer(client, address, model, images):
    images = json.loads(images)
    inputs = []
    for image in images:
        shape = (1, image["height"], image["width"], 3)
        inputs.append([image_of(numpy.fromfile(image["file"], numpy.uint8).reshape(shape))])
    alone = []
    for number, image in enumerate(images):
        result = client.infer(model, inputs[number], outputs=requested(OUTPUTS), request_id=f"alone-{number}")
        assert result.get_response().id == f"alone-{number}", result.get_response().id
        alone.append(arrays_of(result))
        for name, array in alone[-1].items():
            array.tofile(f"{image['file']}.{name}")
    logits = arrays_of(client.infer(model, inputs[0], outputs=requested(["logits"])))
    assert_same(logits, {"logits": alone[0]["logits"]}, "logits alone")
    unnamed = arrays_of(client.infer(model, inputs[0]))
    assert_same({"logits": unnamed["logits"]}, {"logits": alone[0]["logits"]}, "no outputs named")
    for number, arrays in enumerate(asyncio.run(at_once(address, model, inputs))):
        assert_same(arrays, alone[number], f"asyncio {number}")
    streamed = by_stream(client, model, inputs)
    for number, arrays in streamed.items():
        assert_same(arrays, alone[number], f"stream {number}")
    return {
        "outputs": [[name, str(array.dtype), list(array.shape)] for name, array in alone[0].items()],
        "unnamed": list(unnamed),
        "streamed": sorted(streamed),
    }


async def at_once(address, model, inputs):
    async with aio.InferenceServerClient(address) as client:
        calls = [client.infer(model, each, outputs=requested(OUTPUTS)) for each in inputs]
        return [arrays_of(result) for result in await asyncio.gather(*calls)]


def by_stream(client, model, inputs):
    """Arrays by the image's number, which is the request's id."""
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number, each in enumerate(inputs):
        client.async_stream_infer(model, each, outputs=requested(OUTPUTS), request_id=str(number))
    found = {}
    for _ in inputs:
        result, error = answers.get(timeout=60)
        if error is not None:
            raise error
        found[int(result.get_response().id)] = arrays_of(result)
    client.stop_stream()
    return found


def errors(client, _, model):
    pixels = numpy.zeros((1, 16, 24, 3), numpy.uint8)
    image = image_of(pixels)

    def cut():
        tensor = image_of(pixels)
        tensor._raw_content = tensor._raw_content[:-5]
        return tensor

    def named(name, array, datatype):
        tensor = grpc.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        return tensor

    cases = {
        "unknown model": lambda: client.infer("stranger", [image]),
        "unknown version": lambda: client.infer(model, [image], model_version="7"),
        "version no number": lambda: client.infer(model, [image], model_version="newest"),
        "no input": lambda: client.infer(model, []),
        "other input": lambda: client.infer(model, [named("picture", pixels, "UINT8")]),
        "input twice": lambda: client.infer(model, [image, image]),
        "other type": lambda: client.infer(model, [named("image", pixels.astype(numpy.float32), "FP32")]),
        "other rank": lambda: client.infer(model, [image_of(pixels[0])]),
        "other channels": lambda: client.infer(model, [image_of(numpy.zeros((1, 16, 24, 4), numpy.uint8))]),
        "too few bytes": lambda: client.infer(model, [cut()]),
        "unknown output": lambda: client.infer(model, [image], outputs=requested(["labels"])),
        "readiness of another": lambda: assert_not(client.is_model_ready("stranger")),
        "readiness of another version": lambda: assert_not(client.is_model_ready(model, "7")),
        "readiness of a version that is no number": lambda: client.is_model_ready(model, "newest"),
        "metadata of another": lambda: client.get_model_metadata("stranger"),
        "config of another": lambda: client.get_model_config("stranger"),
        "statistics of another": lambda: client.get_inference_statistics("stranger"),
        "metadata of another version": lambda: client.get_model_metadata(model, "7"),
        "config of another version": lambda: client.get_model_config(model, "7"),
        "statistics of another version": lambda: client.get_inference_statistics(model, "7"),
    }
    return {case: error_of(call) for case, call in cases.items()} | {
        f"stream: {case}": error for case, error in stream_errors(client, model, image, cut()).items()
    }


def assert_not(value):
    assert value is False, value


def error_of(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return ["OK", ""]


def stream_errors(client, model, image, cut):
    """Each on one stream that goes on: the last request is a good one."""
    requests = {
        "unknown model": ("stranger", [image], None),
        "too few bytes": (model, [cut], None),
        "unknown output": (model, [image], requested(["labels"])),
        "good": (model, [image], None),
    }
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    found = {}
    for case, (name, inputs, outputs) in requests.items():
        client.async_stream_infer(name, inputs, outputs=outputs, request_id="17")
        result, error = answers.get(timeout=60)
        found[case] = ["OK", ""] if error is None else [error.status(), error.message()]
    client.stop_stream()
    return found


if __name__ == "__main__":
    task, address, *args = sys.argv[1:]
    with grpc.InferenceServerClient(address) as client:
        print(json.dumps({"facts": facts, "infer": infer, "errors": errors}[task](client, address, *args)))
