"""Makes composite_*.safetensors: small vid2vid generators with inputs and what PyTorch makes of them.

  /usr/bin/python3 models/testdata/golden.py        (Debian's python3-torch)
"""
import json
import os
import struct
import sys
from types import SimpleNamespace

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "engine", "enginetest", "peers"))
import composite  # noqa: E402
import torch  # noqa: E402


def write(path, tensors, config):
    header, at = {"__metadata__": {"v2v": json.dumps(config)}}, 0
    for name, t in tensors.items():
        n = t.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())


for kind, seed, size in (("batch", 3, "24x40"), ("instance", 7, "32x24")):
    a = SimpleNamespace(seed=seed, label_nc=9, ngf=2, norm=kind, size=size)
    net, labels, prev = composite.build(a)
    net.train()  # statistics of the frame itself, as the published code runs
    with torch.no_grad():
        raw, flow, mask = net.parts(labels, prev)
        final = net(labels, prev)
    weights = {k: v for k, v in net.state_dict().items() if "running" not in k and "num_batches" not in k}
    golden = dict(labels=labels, prev=prev, raw=raw, flow=flow, mask=mask, final=final)
    weights.update({"golden." + k: v for k, v in golden.items()})
    write(os.path.join(here, f"composite_{kind}.safetensors"), weights,
          dict(input_nc=3, ngf=2, n_downsample=3, n_blocks=9, n_frames=3, norm=kind, no_flow=False))
