"""Loads FILE with PyTorch and writes what it holds to OUT as safetensors: readpth.py FILE OUT."""
import sys
import zipfile

import torch

import pth

state = torch.load(sys.argv[1])
assert type(state).__name__ == "OrderedDict", type(state)
assert zipfile.ZipFile(sys.argv[1]).testzip() is None
for info in zipfile.ZipFile(sys.argv[1]).infolist():
    with open(sys.argv[1], "rb") as f:
        f.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(f.read(2), "little") for _ in range(2))
    assert (info.header_offset + 30 + name + extra) % 64 == 0, info.filename
pth.expected(sys.argv[2], state)
