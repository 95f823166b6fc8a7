"""PyTorch's side of one row of `make test-cuda`'s table, which TestTable starts.

  peer.py '{"kind": "forward", "net": {"ngf": 128}, "batch": 1, "h": 512, "w": 1024, "precision": "bf16", "hows": ["eager", "graph"]}'

Prints a line of JSON: what runs; then one for each way of `hows` as soon as it is measured, with its ms or its error, so that
who loses patience has those that were. Ways: eager; graph, the same captured as a CUDA graph; compiled, torch.compile's code
captured as a CUDA graph; tuned, the same by max-autotune. All are channels_last under cudnn.benchmark; bf16 is autocast, with
filters that a network does not learn rounded once before. Kinds: forward (a generator), step (a whole vid2vid training step),
rate (a product of matrices of h x h).

Times are the median of 7 rounds between two synchronisations. With "device": "cpu" it only shows that it would.
"""
import gc
import json
import pathlib
import sys
import time

engine = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(engine / "enginetest" / "peers"), str(engine.parent / "testdata")]
import torch
from torch import nn

import nets
import vid2vid_step

CONVS = (nn.Conv2d, nn.ConvTranspose2d)


def say(**line):
    print(json.dumps(line), flush=True)


def warp(image, flow):
    """nets.warp with its grid made where the flow is, in float."""
    h, w = image.shape[2:]
    at = dict(dtype=torch.float32, device=flow.device)
    ys, xs = torch.meshgrid(torch.arange(h, **at), torch.arange(w, **at), indexing="ij")
    grid = torch.stack([(xs + flow[:, 0].float()) * 2 / (w - 1) - 1, (ys + flow[:, 1].float()) * 2 / (h - 1) - 1], -1)
    return torch.nn.functional.grid_sample(image.float(), grid, padding_mode="border", align_corners=True)


def start(net, seed):
    """nets.start where the network is, and quickly."""
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, CONVS):
                m.weight.normal_(0, (m.in_channels * m.kernel_size[0] * m.kernel_size[1]) ** -0.5)
    return net


class Frame(nn.Module):
    """All scales of a generator; prev has the finest first."""

    def __init__(self, o):
        super().__init__()
        self.scales = nn.ModuleList(nets.vid2vid(o))
        for m in self.modules():
            if isinstance(m, nn.BatchNorm2d):  # a frame's own statistics, and nothing kept
                m.track_running_stats, m.running_mean, m.running_var, m.num_batches_tracked = False, None, None, None

    def forward(self, labels, *prev):
        levels, out, n = [labels], None, len(self.scales)
        for _ in prev[1:]:
            levels.append(nets.pool(levels[-1]))
        for s, net in enumerate(self.scales):
            out = net(levels[n - 1 - s], prev[n - 1 - s], out)
        return out["final"]


class Row:
    def __init__(self, a):
        self.a, self.cuda = a, a.get("device", "cuda") == "cuda"
        self.bf16 = a["precision"] == "bf16"
        tf32 = a["precision"] == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        self.make = getattr(self, a["kind"])

    def autocast(self):
        return torch.autocast("cuda" if self.cuda else "cpu", torch.bfloat16, enabled=self.bf16)

    def placed(self, make):
        """What make makes, on the card without a way through the host where PyTorch can."""
        if not self.cuda:
            return make()
        with torch.device("cuda"):
            return make()

    def picture(self, c, level=0):
        a = self.a
        return (torch.rand(a["batch"], c, a["h"] >> level, a["w"] >> level) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def forward(self, mode):
        o = nets.complete("vid2vid", self.a["net"])
        net = self.placed(lambda: start(Frame(o), 1)).train().to(memory_format=torch.channels_last)
        if self.bf16:
            for m in net.modules():
                if isinstance(m, CONVS):
                    m.to(torch.bfloat16)
        past = 3 * (o["n_frames"] - 1)
        x = self.placed(lambda: [self.picture(nets.channels(o) * o["n_frames"])] + [self.picture(past, k) for k in range(len(net.scales))])
        run = torch.compile(net, mode=mode) if mode else net

        def step():
            with torch.no_grad(), self.autocast():
                run(*x)

        return step

    def step(self, mode):
        a = self.a
        adam = dict(fused=True, capturable=True) if self.cuda else {}
        make = lambda: vid2vid_step.Step(a["net"]["ngf"], a["h"], a["w"], torch.channels_last, a["ndf"], a["net"]["n_blocks"], adam)
        s = self.placed(make)
        losses = s.losses
        if mode:
            import torch._functorch.config as functorch

            functorch.donated_buffer = False  # gradients are taken twice through what is shared
            s.g = torch.compile(s.g, mode=mode)
            vid2vid_step.levels = torch.compile(LEVELS, mode=mode)

        def cast():
            with self.autocast():
                return losses()

        s.losses = cast
        return s

    def rate(self, mode):
        n = self.a["h"]
        x, y = self.placed(lambda: [torch.randn(n, n).to(torch.bfloat16) for _ in range(2)])
        out = torch.empty_like(x)
        return lambda: torch.matmul(x, y, out=out)

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def graphed(self, step):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        g = torch.cuda.CUDAGraph()
        with torch.cuda.graph(g):
            step()
        return g.replay

    def clock(self, step):
        runs, times = 1, []
        for k in range(3):
            self.wait()
            began = time.perf_counter()
            step()
            self.wait()
            runs = max(1, min(10, int(0.2 / (time.perf_counter() - began))))
        for _ in range(7):
            self.wait()
            began = time.perf_counter()
            for _ in range(runs):
                step()
            self.wait()
            times.append((time.perf_counter() - began) * 1e3 / runs)
        return sorted(times)[3]

    def measure(self, how):
        step = self.make({"compiled": "default", "tuned": "max-autotune-no-cudagraphs"}.get(how))
        if how in ("compiled", "tuned"):
            for _ in range(3):
                step()
        if how != "eager":
            step = self.graphed(step)
        return self.clock(step)


LEVELS = vid2vid_step.levels


def main():
    a = json.loads(sys.argv[1])
    torch.manual_seed(1)
    nets.warp, nets.start = warp, start
    row = Row(a)
    if row.cuda:
        say(about=f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    else:
        say(about=f"PyTorch {torch.__version__} on the host")
    for how in a["hows"]:
        try:
            say(how=how, ms=row.measure(how))
        except Exception as e:  # torch.compile needs a compiler; the row stays with the others
            text = str(e).strip().splitlines() or [""]
            say(how=how, error=f"{type(e).__name__}: {text[0][:160]}")
        vid2vid_step.levels = LEVELS
        gc.collect()
        if row.cuda:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
