"""Writes SavedModels as TensorFlow and Keras do, and prints what TensorFlow answers.

    savedModelPeer.py FOLDER

Prints {model: {"image": [shape], "outputs": {name: {"shape", "base64"}}}}, all float32. The images are
image() below, which savedModel.test.ts makes, too.
"""
import base64
import json
import pathlib
import sys

import keras
import numpy
import tensorflow as tf

FOLDER = pathlib.Path(sys.argv[1])
CLASSES, CHANNELS = 12, 16


def image(shape):
    """Whole numbers from 0 to 255, as a uint8 input needs."""
    return ((numpy.arange(numpy.prod(shape)) * 37) % 256).reshape(shape).astype(numpy.float32)


class Segmenter(tf.Module):
    """Pixels less their mean, convolutions with batch norm down to stride 8, a classifier."""

    def __init__(self, dtype=tf.float32, convert=tf.float32):
        super().__init__()
        random = numpy.random.default_rng(11)
        self.dtype, self.convert = dtype, convert

        def variable(name, *shape):
            scale = (2 / numpy.prod(shape[:-1])) ** 0.5
            return tf.Variable(scale * random.standard_normal(shape), name=name, dtype=tf.float32)

        self.kernels = [
            variable("first", 3, 3, 3, 8),
            variable("second", 3, 3, 8, CHANNELS),
            variable("third", 3, 3, CHANNELS, CHANNELS),
        ]
        self.gain = tf.Variable(tf.linspace(0.5, 1.5, CHANNELS), name="gain")
        self.weights = variable("weights", 1, 1, CHANNELS, CLASSES)
        self.bias = tf.Variable(tf.linspace(-1.0, 1.0, CLASSES), name="bias")

    def __call__(self, pixels):
        x = (tf.cast(pixels, tf.float32) - 120) / 60
        for kernel in self.kernels:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
        zeros, ones = tf.zeros([CHANNELS]), tf.ones([CHANNELS])
        x, _, _, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=self.gain, offset=zeros, mean=zeros, variance=ones, epsilon=1e-5, is_training=False
        )
        logits = tf.nn.conv2d(x, self.weights, 1, "SAME") + self.bias
        return {"logits": tf.cast(logits, self.convert), "feature": tf.cast(x, self.convert)}


def save(name, module, signatures=None):
    spec = tf.TensorSpec([None, None, None, 3], module.dtype, name="image")
    function = tf.function(module.__call__, input_signature=[spec])
    # Named so that it is tracked with the module's variables.
    module.serve = function
    tf.saved_model.save(module, str(FOLDER / name), signatures=(signatures or (lambda f: f))(function))


class WithTable(Segmenter):
    """An asset, a table that its initialiser fills from it, and an output that is no number."""

    def __init__(self):
        super().__init__()
        path = FOLDER / "names.txt"
        path.write_text("\n".join(f"class {number}" for number in range(CLASSES)))
        text = tf.lookup.TextFileInitializer(
            str(path), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        self.table = tf.lookup.StaticHashTable(text, "none")

    def __call__(self, pixels):
        outputs = super().__call__(pixels)
        first = tf.argmax(outputs["logits"], axis=-1)
        return {**outputs, "classes": first, "names": self.table.lookup(first)}


def save_keras(name):
    keras.utils.set_random_seed(3)
    inputs = keras.Input([None, None, 3], name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for filters in (8, CHANNELS, CHANNELS):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    feature = keras.layers.Dropout(0.1, name="feature")(x)
    logits = keras.layers.Conv2D(CLASSES, 1, name="logits")(feature)
    keras.Model(inputs, {"logits": logits, "feature": feature}).export(str(FOLDER / name), verbose=False)


save("plain", Segmenter())
save("bytes", Segmenter(dtype=tf.uint8))
save("halves", Segmenter(dtype=tf.half, convert=tf.half))
save("bfloats", Segmenter(dtype=tf.bfloat16, convert=tf.bfloat16))
save("doubles", Segmenter(dtype=tf.float64, convert=tf.float64))
save("named", Segmenter(), lambda f: {"segment": f})
save("several", Segmenter(), lambda f: {"other": f, "serving_default": f})
save("table", WithTable())
save_keras("keras")

answers = {}
for name in ("plain", "bytes", "halves", "bfloats", "doubles", "named", "several", "table", "keras"):
    signatures = tf.saved_model.load(str(FOLDER / name)).signatures
    serve = signatures["segment" if name == "named" else "serving_default"]
    ((key, spec),) = serve.structured_input_signature[1].items()
    answers[name] = []
    for shape in ((1, 32, 48, 3), (3, 45, 70, 3)):
        outputs = serve(**{key: tf.cast(image(shape), spec.dtype)})
        numbers = {k: v for k, v in outputs.items() if v.dtype != tf.string}
        described = {
            k: {
                "shape": list(v.shape),
                "base64": base64.b64encode(tf.cast(v, tf.float32).numpy().tobytes()).decode(),
            }
            for k, v in numbers.items()
        }
        answers[name].append({"image": shape, "outputs": described})
print(json.dumps(answers))
