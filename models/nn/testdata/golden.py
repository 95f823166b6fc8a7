"""Writes golden.json: a small Sequential of PyTorch with its checkpoint and what it makes of a batch.

Run by hand with /usr/bin/python3 (Debian's python3-torch) in this folder.
"""
import json

import torch
from torch import nn

torch.manual_seed(11)


def norm(kind, c):
    return nn.BatchNorm2d(c) if kind == "batch" else nn.InstanceNorm2d(c)


class Residual(nn.Module):
    def __init__(self, c, kind):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(kind, c), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(kind, c))

    def forward(self, x):
        return x + self.conv_block(x)


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, 2, 7), norm(kind, 2), nn.ReLU(),
            nn.Conv2d(2, 4, 3, stride=2, padding=1), norm(kind, 4), nn.ReLU(),
            Residual(4, kind),
            nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1), norm(kind, 2), nn.ReLU(),
            nn.ReflectionPad2d(3), nn.Conv2d(2, 3, 7), nn.Tanh(), nn.Sigmoid())


def pack(t):
    return {"shape": list(t.shape), "data": [float(f"{v:.7g}") for v in t.detach().flatten().tolist()]}


x = torch.randn(2, 3, 8, 10)
golden = {"x": pack(x), "nets": {}}
for kind in ("batch", "instance"):
    net = Net(kind)
    for name, p in net.named_parameters():
        p.data = torch.randn_like(p) * 0.3 + (1 if p.dim() == 1 else 0)
    golden["nets"][kind] = {
        "params": {name: pack(p) for name, p in net.named_parameters()},
        "order": [name for name, _ in net.named_parameters()],
        "together": pack(net.model(x)),
        "apart": pack(torch.cat([net.model(frame[None]) for frame in x])),
    }
with open("golden.json", "w") as f:
    json.dump(golden, f, separators=(",", ":"))
    f.write("\n")
