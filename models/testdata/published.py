"""Makes published/*.safetensors: small networks with random weights, inputs, and what PyTorch makes of them.

  /usr/bin/python3 models/testdata/published.py        (Debian's python3-torch)

A file holds the weights by their published names, as float16, and inputs and outputs as golden.NAME: bytes
stand for byte/127.5-1, but for the indices golden.ids. Its metadata names the network and its options, as a
model file does.
"""
import json
import os
import struct

import torch
from torch.nn import functional as F

import nets

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "published")

D = dict(input_nc=5, ndf=2)
CITY = dict(label_nc=6, use_instance=True)

# file, network, options, height, width
SINGLE = [
    ("unet_batch", "unet", dict(ngf=2, num_downs=5, norm="batch"), 32, 64),
    ("unet_instance", "unet", dict(ngf=1, num_downs=6, norm="instance", dropout=False, input_nc=1, output_nc=2), 64, 64),
    ("unet_running", "unet", dict(ngf=1, num_downs=5, norm="batch", norm_stats="running"), 32, 32),
    ("resnet_instance", "resnet", dict(ngf=4, n_blocks=1), 20, 28),
    ("resnet_batch", "resnet", dict(ngf=2, n_blocks=4, norm="batch", dropout=True), 12, 20),
    ("resnet_running", "resnet", dict(ngf=2, n_blocks=1, norm="batch", norm_stats="running", output_nc=1), 12, 12),
    ("global_instance", "pix2pixHD_global", dict(ngf=4, n_downsample_global=2, n_blocks_global=1, feat_num=2, **CITY), 12, 20),
    ("global_batch", "pix2pixHD_global", dict(ngf=1, n_downsample_global=3, n_blocks_global=3, norm="batch"), 24, 40),
    ("global_running", "pix2pixHD_global", dict(ngf=2, n_downsample_global=1, n_blocks_global=1, norm="batch", norm_stats="running"), 10, 14),
    ("local_instance", "pix2pixHD_local", dict(ngf=2, n_downsample_global=1, n_blocks_global=2, n_blocks_local=1, **CITY), 24, 40),
    ("local_batch", "pix2pixHD_local", dict(ngf=1, n_downsample_global=1, n_blocks_global=1, n_local_enhancers=2, n_blocks_local=2, norm="batch"), 24, 40),
    ("local_running", "pix2pixHD_local", dict(ngf=1, n_downsample_global=1, n_blocks_global=1, norm="batch", norm_stats="running"), 12, 20),
    ("z_instance", "pix2pixHD_z", dict(input_nc=4, ngf=1, nz=3, n_downsample_global=3, n_blocks_global=1), 24, 40),
    ("z_batch", "pix2pixHD_z", dict(input_nc=4, ngf=2, nz=2, n_downsample_global=2, n_blocks_global=2, norm="batch"), 12, 20),
    ("encoder_instance", "pix2pixHD_encoder", dict(nef=1, n_downsample_E=3), 24, 40),
    ("encoder_batch", "pix2pixHD_encoder", dict(nef=2, n_downsample_E=2, feat_num=5, norm="batch"), 12, 20),
    ("patchgan_batch", "patchgan", dict(n_layers_D=3, **D), 37, 45),
    ("patchgan_instance", "patchgan", dict(n_layers_D=2, norm="instance", **D), 21, 18),
    ("patchgan_running", "patchgan", dict(n_layers_D=1, norm_stats="running", **D), 11, 13),
    ("multiscale_instance", "multiscale", dict(n_layers_D=3, num_D=3, input_nc=5, ndf=1), 37, 45),
    ("multiscale_batch", "multiscale", dict(n_layers_D=2, num_D=2, norm="batch", no_ganFeat_loss=True, **D), 21, 18),
    ("multiscale_running", "multiscale", dict(n_layers_D=1, num_D=2, norm="batch", norm_stats="running", ndf_doubles=True, **D), 11, 13),
    ("vid2vid_batch", "vid2vid", dict(ngf=2, n_blocks=1, norm="batch", fg=True, fg_labels=[2, 5], **CITY), 24, 40),
    ("vid2vid_instance", "vid2vid", dict(ngf=2, n_downsample=1, n_blocks=2, n_frames=2, norm="instance", no_flow=True, input_nc=5), 10, 14),
    ("vid2vid_running", "vid2vid", dict(ngf=1, n_downsample=2, n_blocks=3, norm_stats="running", input_nc=1), 12, 20),
    ("resnet_pose", "resnet", dict(ngf=2, n_blocks=1, input_nc=6), 12, 20),
    ("resnet_face", "resnet", dict(ngf=1, n_blocks=1, input_nc=15), 12, 20),
]

# file, options, height and width of the clip, frames, with a first picture
CLIPS = [
    ("clip_three_scales", dict(ngf=4, n_downsample=1, n_blocks=3, n_scales_spatial=3, fg=True, fg_labels=[1, 4], **CITY), 21, 29, 10, False),
    ("clip_two_scales", dict(ngf=4, n_downsample=3, n_blocks=0, n_scales_spatial=2, n_blocks_local=1, norm="instance",
                             fg=True, fg_labels=[3], n_frames=2, label_nc=5), 32, 48, 2, True),
]


def write(name, network, options, weights, golden, first=None):
    config = dict(format=1, network=network, options=options, about={}, **(dict(first=first) if first else {}))
    tensors = {k: v.half() for k, v in weights.items() if "num_batches" not in k}
    if options.get("norm_stats") != "running":
        tensors = {k: v for k, v in tensors.items() if ".running_" not in k}
    tensors.update({"golden." + k: v for k, v in golden.items()})
    kinds = {torch.float16: "F16", torch.float32: "F32", torch.uint8: "U8"}
    header, data = {"__metadata__": {"v2v": json.dumps(config)}}, b""
    for k, v in sorted(tensors.items(), key=lambda kv: -kv[1].element_size()):
        raw = v.detach().contiguous().numpy().tobytes()
        header[k] = dict(dtype=kinds[v.dtype], shape=list(v.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, name + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw + data)


def ready(net, options, seed):
    nets.start(net, seed)
    if hasattr(net, "model_final_flow"):  # motion of a few pixels, not of the whole picture
        w = net.model_final_flow[1].weight.data
        w.copy_(nets.half(w / 128))
    return net.eval() if options.get("norm_stats") == "running" else nets.frame_mode(net)


def value(picture):
    return picture.float() / 127.5 - 1


def single(seed, network, options, h, w):
    o = nets.complete(network, options)
    picture = lambda c, least=0, most=256: torch.randint(least, most, (1, c, h, w), dtype=torch.uint8)
    if network == "vid2vid":
        net = ready(nets.make(network, options)[0], options, seed)
        see = nets.channels(o) * o["n_frames"]
        # Of labels two are foreground: together they say by how much, 0 to 1.
        g = dict(labels=picture(see, 128, 191) if o["fg"] else picture(see), prev=picture(3 * o["n_frames"] - 3))
        out = net(value(g["labels"]), value(g["prev"]))
        g.update({k: out[k].half() for k in ("raw", "mask", "final") if k in out}, **{k: out[k] for k in ("flow",) if k in out})
        return net, g
    net = ready(nets.make(network, options), options, seed)
    see = nets.channels(o) if "label_nc" in o else o["input_nc"]
    g = dict(labels=picture(see, 128) if see == 15 else picture(see))  # a face is in [0,1]
    if network == "pix2pixHD_z":
        g["features"] = picture(o["nz"])
        g["final"] = net(value(g["labels"]), value(g["features"])).half()
    elif o.get("feat_num") and network != "pix2pixHD_encoder":
        g["features"] = picture(o["feat_num"])
        g["final"] = net(value(torch.cat([g["labels"], g["features"]], 1))).half()
    else:
        out = net(value(g["labels"]))
        if network in ("patchgan", "multiscale"):
            g.update({f"score{i}": s for i, s in enumerate(out if isinstance(out, list) else [out])})
        else:
            g["final"] = out.half()
    return net, g


def scene(h, w, labels, frames):
    """Index pictures of a few rectangles that move over a ground."""
    ids = torch.zeros(frames, h, w, dtype=torch.uint8)
    for t in range(frames):
        for i in range(1, labels):
            y, x = (5 * i + t) % (h - 4), (7 * i + 2 * t) % (w - 6)
            ids[t, y:y + 3 + i % 3, x:x + 4 + i % 4] = i
    return ids


def clip(seed, options, h, w, frames, first):
    o = nets.complete("vid2vid", options)
    scales = nets.make("vid2vid", options)
    for s, net in enumerate(scales):
        ready(net, options, seed + s)
    stride = 2 ** (o["n_downsample"] + len(scales) - 1)
    pad = lambda x: F.pad(x, (0, -w % stride, 0, -h % stride), mode="replicate")
    ids = scene(h, w, o["label_nc"], frames)
    g = dict(ids=ids)
    start = None
    if first:
        g["first"] = torch.randint(0, 256, (1, 3, h, w), dtype=torch.uint8)
        start = pad(value(g["first"]))
    hw = (h + -h % stride, w + -w % stride)
    run = nets.Rollout(scales, o, *hw, first=start)
    g["final"] = torch.cat([run.step(nets.one_hot(pad(i[None, None].float())[0], o))["final"] for i in ids]).half()
    weights = {}
    for s, net in enumerate(scales):
        weights.update({("" if s == 0 else f"netG{s}.") + k: v for k, v in net.state_dict().items()})
    return weights, g


def main():
    os.makedirs(here, exist_ok=True)
    with torch.no_grad():
        for seed, (name, network, options, h, w) in enumerate(SINGLE):
            torch.manual_seed(seed)
            net, golden = single(seed, network, options, h, w)
            write(name, network, options, net.state_dict(), golden)
        for seed, (name, options, *rest) in enumerate(CLIPS):
            torch.manual_seed(seed)
            weights, golden = clip(100 * seed + 1000, options, *rest)
            write(name, "vid2vid", options, weights, golden)


if __name__ == "__main__":
    main()
