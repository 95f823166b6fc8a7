"""An independent safetensors reader and writer: json, struct and numpy; torch only rounds to bfloat16.

  safetensors.py golden FILE   the small file that the tests carry
  safetensors.py floats FILE   every half, and random floats with their roundings
  safetensors.py show FILE     every tensor as JSON: {"metadata": .., "tensors": {name: [dtype, shape, numbers]}}
"""
import json, struct, sys
import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def write(path, tensors, metadata):
    header, at = {}, 0
    for name, dtype, a in tensors:
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    header = dict(reversed(list(header.items())))  # any order is allowed
    header["__metadata__"] = metadata
    head = json.dumps(header, ensure_ascii=False).encode() + b"  \n"
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + b"".join(a.tobytes() for _, _, a in tensors))


def read(path):
    raw = open(path, "rb").read()
    n, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, t in header.items():
        b, e = t["data_offsets"]
        body = raw[8 + n + b:8 + n + e]
        if t["dtype"] == "BF16":
            a = (np.frombuffer(body, "<u2").astype("<u4") << 16).view("<f4")
        else:
            a = np.frombuffer(body, TYPES[t["dtype"]])
        tensors[name] = [t["dtype"], t["shape"], a.reshape(t["shape"])]
    assert 8 + n + max([t["data_offsets"][1] for t in header.values()], default=0) == len(raw)
    return metadata, tensors


def bf16(a):
    import torch
    return torch.from_numpy(a).to(torch.bfloat16).view(torch.int16).numpy().view("<u2")


def golden(path):
    w = np.array([[1.5, -2.25, 0.1], [3e-39, -0.0, 65504]], "<f4")
    write(path, [
        ("model.0.weight", "F32", w), ("half", "F16", w.astype("<f2")), ("brain", "BF16", bf16(w)),
        ("double", "F64", w.astype("<f8")), ("count", "I64", np.array(-7, "<i8")), ("state é\"", "U8", np.arange(5, dtype="u1")),
        ("i32", "I32", np.array([1, -2], "<i4")), ("i16", "I16", np.array([[3]], "<i2")), ("i8", "I8", np.array([-4], "i1")),
        ("mask", "BOOL", np.array([True, False])), ("none", "F32", np.zeros((0, 3), "<f4")),
    ], {"v2v": json.dumps({"arch": "composite", "ngf": 8}), "format": "pt"})


def floats(path):
    halves = np.arange(65536, dtype="<u2")
    some = np.random.RandomState(1).randint(0, 2**32, 200000, dtype=np.uint64).astype("<u4")
    near = (halves.view("<f2").astype("<f4").view("<u4")[:, None] + np.array([0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001], "<u4")).ravel()
    f = np.concatenate([some, near]).view("<f4")
    f = f[~np.isnan(f)]
    with np.errstate(over="ignore"):
        write(path, [("halves", "F16", halves), ("halves.f32", "F32", halves.view("<f2").astype("<f4")),
                     ("f", "F32", f), ("f.f16", "F16", f.astype("<f2")), ("f.bf16", "BF16", bf16(f))], {})


if __name__ == "__main__":
    if sys.argv[1] == "show":
        metadata, tensors = read(sys.argv[2])
        print(json.dumps({"metadata": metadata, "tensors": {k: [t, s, a.ravel().tolist()] for k, (t, s, a) in tensors.items()}}))
    else:
        {"golden": golden, "floats": floats}[sys.argv[1]](sys.argv[2])
