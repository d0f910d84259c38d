"""grpc's C core and nothing on top: server and client of bareSide.ts with bytes as messages."""

import json
import sys
import time
from concurrent import futures

import grpc

METHOD = "/cirkd.bench.Bytes/Pull"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def say(answer):
    print(json.dumps(answer), flush=True)


class Handler(grpc.GenericRpcHandler):
    def __init__(self):
        self.buffers = {}

    def service(self, details):
        if details.method == METHOD:
            return grpc.unary_stream_rpc_method_handler(self.pull)
        return None

    def pull(self, request, context):
        asked = json.loads(request)
        buffers = [self.buffer(size) for size in asked["messages"]]
        for _ in range(asked["answers"]):
            yield from buffers

    def buffer(self, size):
        if size not in self.buffers:
            self.buffers[size] = b"\7" * size
        return self.buffers[size]


def serve():
    server = grpc.server(
        futures.ThreadPoolExecutor(2), handlers=[Handler()], options=OPTIONS
    )
    say({"port": server.add_insecure_port("127.0.0.1:0")})
    server.start()
    sys.stdin.read()
    server.stop(None)


def pull(address):
    method = grpc.insecure_channel(address, options=OPTIONS).unary_stream(METHOD)
    say({"engine": f"grpcio {grpc.__version__}"})
    for line in sys.stdin:
        asked = json.loads(line)
        begin = time.monotonic()
        got = sum(len(message) for message in method(line.encode()))
        ms = 1000 * (time.monotonic() - begin)
        wanted = asked["answers"] * sum(asked["messages"])
        if got != wanted:
            raise ValueError(f"{got} bytes came, wanted {wanted}")
        say({"ms": ms})


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        pull(sys.argv[2])
