"""Makes inception*.safetensors: the features that a narrow Inception-v3 of random weights sees in a picture.

  /usr/bin/python3 models/published/testdata/inception.py        (Debian's python3-torch)

The layers are those of the paper, under the names of torchvision's inception_v3. The file with 1008 classes pools as
pytorch-fid's network does. A file holds weights (names as published), in/picture (bytes) and out/features.
"""
import json
import os
import struct

import torch
from torch import nn
from torch.nn import functional as F

here = os.path.dirname(os.path.abspath(__file__))


class Unit(nn.Module):
    def __init__(self, cin, c, k, **o):
        super().__init__()
        self.conv = nn.Conv2d(cin, c, k, bias=False, **o)
        self.bn = nn.BatchNorm2d(c, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


ROW, COLUMN = dict(k=(1, 7), padding=(0, 3)), dict(k=(7, 1), padding=(3, 0))
BLOCKS = {
    "a": dict(branch1x1=[dict(k=1)], branch5x5=[dict(k=1), dict(k=5, padding=2)], branch3x3dbl=[dict(k=1), dict(k=3, padding=1), dict(k=3, padding=1)]),
    "b": dict(branch3x3=[dict(k=3, stride=2)], branch3x3dbl=[dict(k=1), dict(k=3, padding=1), dict(k=3, stride=2)]),
    "c": dict(branch1x1=[dict(k=1)], branch7x7=[dict(k=1), ROW, COLUMN], branch7x7dbl=[dict(k=1), COLUMN, ROW, COLUMN, ROW]),
    "d": dict(branch3x3=[dict(k=1), dict(k=3, stride=2)], branch7x7x3=[dict(k=1), ROW, COLUMN, dict(k=3, stride=2)]),
}


class Block(nn.Module):
    def __init__(self, kind, cin, c, pool):
        super().__init__()
        self.kind, self.pool, self.branches, self.out = kind, pool, [], 0
        for name, layers in BLOCKS[kind].items():
            wide, chain = cin, []
            for i, o in enumerate(layers):
                label = name if len(layers) == 1 else f"{name}_{i + 1}"
                setattr(self, label, Unit(wide, c + i, **o))
                wide = c + i
                chain.append(label)
            self.branches.append(chain)
            self.out += wide
        self.out += cin if kind in "bd" else c
        if kind not in "bd":
            self.branch_pool = Unit(cin, c, 1)

    def forward(self, x):
        out = []
        for chain in self.branches:
            y = x
            for label in chain:
                y = getattr(self, label)(y)
            out.append(y)
        out.append(F.max_pool2d(x, 3, 2) if self.kind in "bd" else self.branch_pool(self.pool(x)))
        return torch.cat(out, 1)


class Wide(nn.Module):
    def __init__(self, cin, c, pool):
        super().__init__()
        self.pool, self.out = pool, 6 * c
        cross = lambda name, wide: (setattr(self, name + "a", Unit(wide, c, (1, 3), padding=(0, 1))), setattr(self, name + "b", Unit(wide, c, (3, 1), padding=(1, 0))))
        self.branch1x1, self.branch3x3_1 = Unit(cin, c, 1), Unit(cin, c + 1, 1)
        cross("branch3x3_2", c + 1)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(cin, c, 1), Unit(c, c + 2, 3, padding=1)
        cross("branch3x3dbl_3", c + 2)
        self.branch_pool = Unit(cin, c, 1)

    def forward(self, x):
        y, z = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(y), self.branch3x3_2b(y), self.branch3x3dbl_3a(z), self.branch3x3dbl_3b(z),
                          self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    def __init__(self, classes):
        super().__init__()
        fid = classes == 1008
        mean = lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=not fid)
        top = lambda x: F.max_pool2d(x, 3, 1, 1)
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3 = Unit(3, 2, 3, stride=2), Unit(2, 3, 3), Unit(3, 4, 3, padding=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = Unit(4, 5, 1), Unit(5, 6, 3)
        wide, self.mixed = 6, []
        for name, kind in zip("5b 5c 5d 6a 6b 6c 6d 6e 7a".split(), "aaabccccd"):
            block = Block(kind, wide, 3, mean)
            setattr(self, "Mixed_" + name, block)
            self.mixed.append(block)
            wide = block.out
        for name in ("7b", "7c"):
            block = Wide(wide, 4, top if fid and name == "7c" else mean)
            setattr(self, "Mixed_" + name, block)
            self.mixed.append(block)
            wide = block.out
        self.fc = nn.Linear(wide, classes)

    def forward(self, x):
        x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for block in self.mixed:
            x = block(x)
        return x.mean((2, 3))


def write(name, classes):
    torch.manual_seed(classes)
    net = Inception(classes).eval()
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.Conv2d):
                m.weight.mul_(2)
            if isinstance(m, nn.BatchNorm2d):
                m.weight.uniform_(0.5, 1.5)
                m.bias.normal_(0.1, 0.2)
                m.running_mean.normal_(0, 0.2)
                m.running_var.uniform_(0.5, 1.5)
        pix = torch.randint(0, 256, (1, 40, 52, 3)).float()
        features = net(pix.permute(0, 3, 1, 2) / 127.5 - 1)
    tensors = {k: v for k, v in net.state_dict().items() if v.dtype == torch.float32 and not k.startswith("fc.bias")}
    tensors["fc.weight"] = torch.zeros(classes, 1)
    tensors.update({"in/picture": pix, "out/features": features})
    header, at = {}, 0
    for k, t in tensors.items():
        header[k] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.numel()]}
        at += 4 * t.numel()
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, name + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for t in tensors.values():
            f.write(t.contiguous().numpy().astype("<f4").tobytes())
    print(name, features.flatten()[:6], features.std())


if __name__ == "__main__":
    write("inception", 1000)
    write("inception_fid", 1008)
