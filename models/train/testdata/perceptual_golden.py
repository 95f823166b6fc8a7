"""Makes perceptual.safetensors: the perceptual loss of a narrow random VGG19, as PyTorch takes it. And perceptual.pth: that
network as torch.save leaves torchvision's vgg19().state_dict(), in the format of before 1.6 which torchvision's file has.

  /usr/bin/python3 models/train/testdata/perceptual_golden.py        (Debian's python3-torch)

Layers are numbered as in torchvision's vgg19().features. The file holds its weights, two pictures (fake, real) and the
gradient with respect to the first; the metadata have the loss of both, and of both repeated 29 times side by side.
"""
import json
import os
import struct
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(19)
here = os.path.dirname(os.path.abspath(__file__))
layers, c = [], 3
for block in (2, 2, 4, 4, 1):
    for _ in range(block):
        layers += [nn.Conv2d(c, 16, 3, padding=1), nn.ReLU()]
        c = 16
    layers.append(nn.MaxPool2d(2, 2))
features = nn.Sequential(*layers[:-1])
for m in features:
    if isinstance(m, nn.Conv2d):
        nn.init.normal_(m.weight, 0, (2 / (9 * m.in_channels)) ** 0.5)
        nn.init.normal_(m.bias, 0, 0.1)
        for p in (m.weight, m.bias):
            p.data = p.data.half().float()


def seen(x):
    out = []
    while x.shape[3] > 1024:
        x = F.avg_pool2d(x, 2, 2)
    for i, m in enumerate(features):
        x = m(x)
        if i in (1, 6, 11, 20, 29):
            out.append(x)
    return out


def loss(fake, real):
    with torch.no_grad():
        want = seen(real)
    return 10 * sum(w * (a - b).abs().mean() for w, a, b in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), seen(fake), want))


def main():
    fake, real = ((torch.rand(1, 3, 34, 36) * 2 - 1).half().float() for _ in range(2))
    fake.requires_grad_()
    one = loss(fake, real)
    one.backward()
    wide = loss(fake.detach().repeat(1, 1, 1, 29), real.repeat(1, 1, 1, 29))
    tensors = {"features." + k: (v.detach(), "F16") for k, v in features.named_parameters()}
    tensors.update(fake=(fake.detach(), "F16"), real=(real, "F16"), gradient=(fake.grad, "F32"))
    header = {"__metadata__": {"golden": json.dumps({"loss": one.item(), "wide": wide.item()})}}
    at = 0
    for k, (t, kind) in tensors.items():
        n = t.numel() * int(kind[1:]) // 8
        header[k] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, "perceptual.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for t, kind in tensors.values():
            f.write(t.contiguous().numpy().astype("<f" + str(int(kind[1:]) // 8)).tobytes())
    state = OrderedDict(("features." + k, v.detach().half()) for k, v in features.named_parameters())
    for name, n in (("features.30", 16), ("classifier.0", 2)):  # more than the loss wants, as there is
        state[name + ".weight"], state[name + ".bias"] = torch.ones(n, 16).half(), torch.ones(n).half()
    torch.save(state, os.path.join(here, "perceptual.pth"), _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
