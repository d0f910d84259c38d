"""A runtime of MLServer for ONNX graphs: names, types and order of the tensors as in model-settings.json."""
import time

import numpy
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri

DTYPES = {"FP32": numpy.float32, "FP16": numpy.float16, "UINT8": numpy.uint8}


class OnnxRuntime(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.parameters.extra["threads"]
        path = await get_model_uri(self.settings)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        # As long as onnxruntime computes, nothing else runs in this process, either.
        time.sleep(self.settings.parameters.extra["delayMs"] / 1000)
        asked = {each.name for each in payload.outputs or []}
        outputs = [each for each in self.settings.outputs if not asked or each.name in asked]
        feeds = {
            each.name: NumpyCodec.decode_input(each).astype(numpy.float32, copy=False)
            for each in payload.inputs
        }
        arrays = self.session.run([each.name for each in outputs], feeds)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[
                NumpyCodec.encode_output(each.name, array.astype(DTYPES[each.datatype], copy=False))
                for each, array in zip(outputs, arrays, strict=True)
            ],
        )

    async def predict_stream(self, payloads):
        async for payload in payloads:
            yield await self.predict(payload)
