"""A load generator for the Open Inference Protocol, made of tritonclient's asyncio API.

inferClient.py ADDRESS MODEL HEIGHT WIDTH OUTPUTS: images of one size; OUTPUTS is JSON, names to the shapes that
every answer must have. Reads lines of {"answers", "ahead", "stream"} and says of each {"ms", "latenciesMs"}.
"""

import asyncio
import json
import sys
import time
from importlib.metadata import version

import numpy
import tritonclient.grpc.aio as triton


def say(answer):
    print(json.dumps(answer), flush=True)


class Load:
    def __init__(self, client, model, height, width, outputs):
        self.client = client
        self.model = model
        self.shapes = outputs
        shape = (1, height, width, 3)
        self.image = triton.InferInput("image", shape, "UINT8")
        self.image.set_data_from_numpy(numpy.full(shape, 7, numpy.uint8))
        self.outputs = [triton.InferRequestedOutput(name) for name in outputs]

    async def run(self, answers, ahead, stream):
        latencies = []
        begin = time.monotonic()
        await (self.by_stream if stream else self.by_calls)(answers, ahead, latencies)
        ms = 1000 * (time.monotonic() - begin)
        if len(latencies) != answers:
            raise ValueError(f"{len(latencies)} answers came, wanted {answers}")
        return {"ms": ms, "latenciesMs": latencies}

    async def by_calls(self, answers, ahead, latencies):
        left = iter(range(answers))

        async def one_after_another():
            for _ in left:
                asked = time.monotonic()
                result = await self.client.infer(self.model, [self.image], outputs=self.outputs)
                self.check(result)
                latencies.append(1000 * (time.monotonic() - asked))

        await asyncio.gather(*(one_after_another() for _ in range(ahead)))

    async def by_stream(self, answers, ahead, latencies):
        free = asyncio.Semaphore(ahead)
        asked = {}

        async def requests():
            for number in range(answers):
                await free.acquire()
                asked[str(number)] = time.monotonic()
                yield {
                    "model_name": self.model,
                    "inputs": [self.image],
                    "outputs": self.outputs,
                    "request_id": str(number),
                }

        async for result, error in self.client.stream_infer(requests()):
            if error is not None:
                raise error
            self.check(result)
            latencies.append(1000 * (time.monotonic() - asked.pop(result.get_response().id)))
            free.release()

    def check(self, result):
        for name, shape in self.shapes.items():
            array = result.as_numpy(name)
            if array is None or list(array.shape) != shape:
                raise ValueError(f"{name}: {None if array is None else array.shape} came, wanted {shape}")


async def main(address, model, height, width, outputs):
    async with triton.InferenceServerClient(address) as client:
        load = Load(client, model, int(height), int(width), json.loads(outputs))
        say({"engine": "tritonclient " + version("tritonclient")})
        # The only thing that waits here: no request is under way between two runs.
        for line in sys.stdin:
            say(await load.run(**json.loads(line)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
