"""PyTorch's side of `make bench` for the image networks of models/testdata/nets.py.

  zoo.py bench NAME OPTIONS HxW [threads]        median ms of the faster memory layout, and peak memory
  zoo.py onnx NAME OPTIONS HxW FILE              the same network for ort.js

OPTIONS is the JSON of a model file. Statistics are those of the frame.
"""
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "testdata"))
import nets  # noqa: E402


def main():
    mode, name, options, size, *rest = sys.argv[1:]
    options = json.loads(options)
    h, w = map(int, size.split("x"))
    net = nets.make(name, options)
    nets.start(net, 1)
    nets.frame_mode(net)
    x = torch.randn(1, options.get("input_nc", 3), h, w)
    torch.set_flush_denormal(True)
    if mode == "onnx":
        torch.onnx.export(net, x, rest[0], input_names=["labels"], output_names=["final"], opset_version=13)
        return
    torch.set_num_threads(int(rest[0]) if rest else 2)
    medians = []
    with torch.no_grad():
        for layout in torch.contiguous_format, torch.channels_last:
            net, x = net.to(memory_format=layout), x.to(memory_format=layout)
            net(x)
            times = []
            for _ in range(5):
                t = time.perf_counter()
                net(x)
                times.append((time.perf_counter() - t) * 1e3)
            medians.append(statistics.median(times))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"torch {torch.__version__} {min(medians):.1f} ms/frame peak {peak:.0f} MB")


main()
