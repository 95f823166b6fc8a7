"""PyTorch's side of `make test-cuda`: the composite generator of models/engine/enginetest/peers/composite.py on a card.

Each row is the best of eager and torch.compile, channels_last, cudnn.benchmark on, bf16 under autocast, tf32 allowed where a
row says so. Times are the median of 7 rounds of 10 runs between two synchronisations, as the other side's.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "enginetest" / "peers"))
import torch
import composite

ROWS = [(128, 1, 512, 1024, "bf16"), (128, 1, 256, 512, "bf16"), (128, 1, 512, 1024, "tf32"), (128, 1, 256, 512, "f32"),
        (64, 1, 256, 256, "bf16"), (64, 8, 256, 256, "bf16")]


def warp(image, flow):
    """composite.warp with its grid made where the flow is."""
    _, _, h, w = image.shape
    at = dict(dtype=torch.float32, device=flow.device)
    ys, xs = torch.meshgrid(torch.arange(h, **at), torch.arange(w, **at), indexing="ij")
    grid = torch.stack([(xs + flow[:, 0].float()) * 2 / (w - 1) - 1, (ys + flow[:, 1].float()) * 2 / (h - 1) - 1], -1)
    return torch.nn.functional.grid_sample(image.float(), grid, padding_mode="border", align_corners=True)


def clock(step):
    for _ in range(5):
        step()
    times = []
    for _ in range(7):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - began) * 100)
    return sorted(times)[3]


def measure(ngf, batch, h, w, precision, compiled):
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    net = composite.Composite(9, 6, ngf).cuda().train().to(memory_format=torch.channels_last)
    x = [(torch.rand(batch, c, h, w, device="cuda") * 2 - 1).contiguous(memory_format=torch.channels_last) for c in (9, 6)]
    run = torch.compile(net, mode="max-autotune") if compiled else net
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
        return clock(lambda: run(*x))


def main():
    composite.warp = warp
    torch.backends.cudnn.benchmark = True
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    for ngf, batch, h, w, precision in ROWS:
        times = []
        for compiled in (False, True):
            try:
                times.append(measure(ngf, batch, h, w, precision, compiled))
            except Exception as e:  # torch.compile needs a compiler; the row stays with eager
                print(f"  {'compiled' if compiled else 'eager'}: {type(e).__name__}: {str(e).splitlines()[0][:80]}")
        if times:
            name = f"composite ngf {ngf}, {batch} x {h}x{w}, {precision}"
            print(f"{name:46} {min(times):10.3f} {batch / min(times) * 1e3:10.1f}")


if __name__ == "__main__":
    main()
