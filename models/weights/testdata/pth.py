"""Makes the checkpoints that the tests carry: pth.py DIR. Every file is written by PyTorch, or read by it before it counts.

expected.safetensors holds what zip.pth and legacy.pth hold, contiguous, by the independent writer of safetensors.py.
"""
import os, pickle, struct, sys
from collections import OrderedDict

import numpy as np
import torch

import safetensors

torch.manual_seed(7)
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


def state():
    base = torch.randn(6, 5, 4)
    s = OrderedDict()
    s["base"] = base
    s["view"] = base[2:4]
    s["every.second"] = base[::2, 1::2]
    s["column"] = base[:, :, 1]
    s["transposed"] = base.transpose(0, 2)
    s["rows"] = base.permute(1, 0, 2)[1:]
    s["channels_last"] = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    s["tied"] = base
    s["expanded"] = torch.randn(3, 1).expand(3, 4)
    s["parameter"] = torch.nn.Parameter(torch.randn(7))
    s["half"] = torch.randn(3, 5).half()
    s["half.T"] = s["half"].t()
    s["brain"] = torch.randn(9).bfloat16()
    s["double"] = torch.randn(2, 2).double()
    s["norm.num_batches_tracked"] = torch.tensor(12345678901)
    s["i32"], s["i16"], s["i8"] = (torch.arange(-3, 3).to(t) for t in (torch.int32, torch.int16, torch.int8))
    s["u8"], s["mask"] = torch.arange(250, 256).byte(), torch.tensor([[True], [False]])
    s["scalar"], s["empty"] = torch.tensor(0.5), torch.zeros(0, 3)
    return s


def legacy(path, obj, **more):
    torch.save(obj, path, _use_new_zipfile_serialization=False, **more)


def expected(path, s):
    tensors = []
    for name, t in s.items():
        raw = t.detach().contiguous().flatten()
        raw = raw.view(torch.int16) if t.dtype == torch.bfloat16 else raw
        tensors.append((name, NAMES[t.dtype], raw.numpy().reshape(t.shape)))
    safetensors.write(path, tensors, {})


def python2(path):
    """What Python 2 and PyTorch 0.3 wrote: byte strings, OrderedDict from pairs, _rebuild_tensor, a view of a storage."""
    def tensor(view):
        return (b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x08" + view +
                b"tQK\x01K\x02K\x02\x86K\x02K\x01\x86tR")
    body = (b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(]q\x02(U\x01a" + tensor(b"N") + b"e]q\x03(U\x01b" +
            tensor(b"(U\x01vK\x02K\x05t") + b"ee\x85R.")
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)
    with open(path, "wb") as f:
        f.write(pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2) + system + body + pickle.dumps(["k"], 2))
        f.write(struct.pack("<q", 8) + np.arange(8, dtype="<f4").tobytes())
    s = torch.load(path)
    assert s["a"].tolist() == [[1, 2], [3, 4]] and s["b"].tolist() == [[3, 4], [5, 6]], s


def main(out):
    os.chdir(out)
    s = state()
    expected("expected.safetensors", s)
    torch.save(s, "zip.pth")
    torch.save(s, "zip4.pth", pickle_protocol=4)
    legacy("legacy.pth", s)
    python2("python2.pth")
    conv = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    legacy("module.pth", torch.nn.DataParallel(torch.nn.DataParallel(conv)).state_dict())
    opt = torch.optim.Adam(conv.parameters())
    conv(torch.randn(1, 1, 5, 5)).sum().backward()
    opt.step()
    torch.save(opt.state_dict(), "optimizer.pth")
    torch.save({"epoch": 3, "state_dict": conv.state_dict(), "optimizer": opt.state_dict()}, "wrapped.pth")
    torch.save({"params": {"w": torch.zeros(2)}, "params_ema": {"w": torch.ones(2)}}, "two.pth")
    torch.save(torch.nn.ReLU(), "whole.pth")
    legacy("whole_legacy.pth", torch.nn.ReLU())
    torch.save([torch.zeros(1)], "list.pth")
    torch.save({"epoch": 1}, "none.pth")
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, "bomb.pth")
    torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, "complex.pth")
    torch.jit.script(torch.nn.ReLU()).save("script.pth")


if __name__ == "__main__":
    main(sys.argv[1])
