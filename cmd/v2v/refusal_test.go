package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/published"
	"github.com/v2v/v2v/video/ffio"
)

// refusals are calls that must end with a code, one line that matches, and
// nothing written.
var refusals = []struct {
	code int
	args string
	want string
}{
	{2, "nonsense", `unknown command "nonsense"`},
	{2, "convert --nonsense", `unknown flag: --nonsense; see v2v convert --help`},
	{2, "devices extra", `unknown command "extra"|accepts 0 arg|unknown`},
	{2, "convert", `accepts 1 arg`},
	{2, "info --size 12 x.safetensors", `"12" is no size; give height x width`},

	{2, "bench", `give either --model or --arch`},
	{2, "bench --arch composite --size 0x5", `"0x5" is no size`},
	{2, "bench --arch composite --size 256", `"256" is no size`},
	{2, "bench --arch nonsense", `none of`},
	{2, "bench --arch composite -n 4", `give 5 or more`},
	{2, "bench --arch composite --norm layer", `give batch or instance`},
	{2, "bench --arch composite --device gpu7", `none of auto, cpu, ref`},
	{2, "bench --arch composite --device cuda:0,cuda:1", `only a batch spreads over several`},
	{5, "bench --arch composite --device cuda:99", `open cuda`},
	{2, "bench --arch composite --ngf 4 --size 16x16 --device ref --precision bf16", `not supported on this device`},
	{6, "bench --model nothing.safetensors", `nothing.safetensors: no such file`},

	{6, "info nothing.safetensors", `nothing.safetensors: no such file`},
	{6, "info lfs.safetensors", `Git LFS pointer`},
	{6, "info short.safetensors", `short.safetensors: truncated`},
	{6, "info tiny.safetensors", `tiny.safetensors: truncated`},
	{6, "info sub.safetensors", `is a folder`},
	{6, "info text.pth", `text.pth`},
	{4, "info nothing.mp4", `open "nothing.mp4": no such file`},

	{4, "convert text.mp4 -o out/a.mp4", `text.mp4.*not a video`},
	{4, "convert nothing.mp4 -o out/a.mp4", `open "nothing.mp4": no such file`},
	{4, "convert void -o out/a.mp4", `no frames: folder "void" holds no .png`},
	{4, "convert empty.mp4 -o out/a.mp4", `no frames`},
	{4, "convert sound.mp4 -o out/a.mp4", `no video stream`},
	{4, "convert text.png -o out/a.mp4", `text.png`},
	{2, "convert in.mkv", `give -o OUT`},
	{2, "convert in.mkv -o nowhere/a.mp4", `"nowhere" does not exist`},
	{2, "convert in.mkv -o text.mp4/a.mp4", `"text.mp4" is no folder`},
	{2, "convert in.mkv -o out/a.xyz", `unknown video file extension ".xyz": choose one of`},
	{2, "convert in.mkv -o out/a.mp4 --codec mpeg9", `unknown codec "mpeg9": choose one of`},
	{2, "convert in.mkv -o out/a.mp4 --codec ffv1", `ffv1 does not go into a .mp4`},
	{2, "convert in.mkv -o out/a.mp4 --crf 99", `crf 99 is not between`},
	{2, "convert in.mkv -o out/a.mp4 --enc nonsense", `is not key=value`},
	{2, "convert in.mkv -o in.mkv --overwrite", `it is the input itself`},
	{2, "convert in.mkv -o text.mp4", `it exists already`},
	{2, "convert in.mkv -o out/a.mp4 --size 10", `is no size`},
	{2, "convert in.mkv -o out/a.mp4 --size 10x99999", `each 1 to 16384`},
	{2, "convert in.mkv -o out/a.mp4 --extract poses", `give one of edges, mask, gray, quant`},
	{2, "convert in.mkv -o out/a.mp4 --extract gray --keypoints void", `exclude one another: give one`},
	{2, "convert in.mkv -o out/a.mp4 --ids --palette city.txt", `exclude one another: give one`},
	{2, "convert in.mkv -o out/a.mp4 --palette void", `read palette: read void: is a directory`},
	{4, "convert in.mkv -o out/a.mp4 --keypoints void", `void holds no keypoint file \(\*.json\) for in.mkv`},
	{4, "convert in.mkv -o out/a.mp4 --landmarks nowhere", `landmark file nowhere: open nowhere: no such file`},
	{2, "convert in.mkv -o out/a.mp4 --decoder vlc", `give auto, opencv or ffmpeg`},
	{2, "convert in.mkv -o out/a.mp4 --on-damage ignore", `give keep or fail`},
	{2, "convert in.mkv -o out/a.mp4 --start -1", `numbers from 0 up`},
	{2, "convert in.mkv -o out/a.mp4 --precision f8", `none of f32, bf16, tf32`},
	{2, "convert in.mkv -o out/a.mp4 --rate 0", `no frame rate`},
	{2, "convert in.mkv -o out/a.mp4 --first text.mp4", `--first`},
	{6, "convert in.mkv -o out/a.mp4 --model text.mp4", `text.mp4`},
	{6, "convert in.mkv -o out/a.mp4 --model other.safetensors", `no v2v configuration`},

	{2, "batch in.mkv", `give -o OUTDIR`},
	{2, "batch void -o void", `both input and output`},
	{2, "batch in.mkv -o out/x --workers 0", `give 1 to 64`},
	{2, "batch in.mkv -o out/x --format gif", `give png or one of`},
	{2, "batch in.mkv -o out/x --overwrite=sometimes", `give never, stale or always`},
	{2, "batch in.mkv -o out/x --include [", `pattern "\["`},
	{2, "batch in.mkv text.png in.mp4 -o out/x", `would both be written to`},
	{6, "batch in.mkv -o out/x --model nothing.safetensors", `no such file`},
	{4, "batch in.mkv -o out/x --keypoints nowhere", `nowhere: no such file`},
	{9, "batch void -o out/x", `batch: no clips found in void`},

	{2, "import net.pth", `give -o MODEL.safetensors`},
	{2, "import net.pth -o out/m.pth", `ends in .safetensors`},
	{2, "import net.pth -o sub.safetensors", `ends in .safetensors`},
	{2, "import net.pth -o nowhere/m.safetensors", `"nowhere" does not exist`},
	{2, "import net.pth -o m.safetensors", `it exists already`},
	{2, "import other.safetensors -o other.safetensors --overwrite", `it is the input itself`},
	{2, "import net.pth -o out/m.safetensors --norm-stats mean", `give frame or running`},
	{2, "import net.pth -o out/m.safetensors --norm-stats running", `does not fit the weights`},
	{2, "import net.pth -o out/m.safetensors --label-nc 7", `does not fit the weights, which take 3 channels`},
	{2, "import net.pth -o out/m.safetensors --fg-labels 26", `fg-labels: the choice does not fit`},
	{2, "import net.pth -o out/m.safetensors --fg-labels x", `invalid argument`},
	{2, "import net.pth -o out/m.safetensors --epoch 20", `does not apply to a file`},
	{6, "import nothing.pth -o out/m.safetensors", `nothing.pth: no such file`},
	{6, "import void -o out/m.safetensors", `holds no checkpoint`},
	{6, "import text.pth -o out/m.safetensors", `text.pth: it is a text file`},
	{6, "import lfs.safetensors -o out/m.safetensors", `a Git LFS pointer`},
	{6, "import m.safetensors -o out/m.safetensors", `a model of v2v already`},
	{6, "import other.safetensors -o out/m.safetensors", `of no network that v2v knows: there are none`},
	{6, "info net.pth", `a PyTorch checkpoint: run .v2v import`},
	{2, "export m.safetensors", `give -o OUT`},
	{2, "export m.safetensors -o out/m.onnx", `ends in .pth or .safetensors`},
	{2, "export m.safetensors -o out/%d%d.pth", `one %d`},
	{2, "export m.safetensors -o m.safetensors --overwrite", `it is the input itself`},
	{2, "export m.safetensors -o net.pth", `it exists already`},
	{2, "export m.safetensors -o nowhere/m.pth", `"nowhere" does not exist`},
	{2, "export m.safetensors -o nowhere/deep", `"nowhere" does not exist`},
	{6, "export nothing.safetensors -o out/m.pth", `no such file`},
	{6, "export net.pth -o out/m.pth", `a PyTorch checkpoint`},
	{6, "export other.safetensors -o out/m.pth", `no v2v configuration`},

	{2, "eval --fake in.mkv", `give both --fake and --real`},
	{2, "eval --fake in.mkv --real in.mkv --every 0", `give 1 or more`},
	{4, "eval --fake nowhere --real in.mkv", `nowhere`},
	{4, "eval --fake void --real in.mkv", `--fake void holds no clip`},

	{2, "flow in.mkv", `give -o OUT`},
	{2, "flow in.mkv -o text.mp4", `it exists already`},
	{2, "flow in.mkv -o out/x.mp4 --longest -1", `positive number`},

	{2, "prepare in.mkv -o out/x", `give --extract, one of edges, mask, gray, quant`},
	{2, "prepare --extract poses in.mkv -o out/x", `give one of edges`},
	{2, "prepare --extract gray in.mkv", `give -o DATA`},
	{2, "prepare --extract gray in.mkv -o out/x --holdout 1", `share from 0 to below 1`},
	{2, "prepare --extract gray in.mkv -o out/x --holdout NaN", `share from 0 to below 1`},
	{2, "prepare --extract gray in.mkv -o out/x --every 0", `give 1 or more`},
	{2, "prepare --extract gray in.mkv in.mp4 -o out/x", `would both be clip in`},
	{2, "prepare --extract gray in.mkv wide.mkv -o out/x", `give one --size for all`},
	{4, "prepare --extract gray text.mp4 -o out/x", `not a video`},
	{4, "prepare --extract gray nowhere.mp4 -o out/x", `no such file`},
	{1, "prepare --extract gray in.mkv -o text.mp4", `text.mp4`},
	{2, "prepare pose in.mkv -o out/x", `give --keypoints DIR`},
	{2, "prepare pose --keypoints void -o out/x", `requires at least 1 arg.*; see v2v prepare pose --help`},
	{2, "prepare pose --keypoints void in.mkv", `give -o DATA`},
	{2, "prepare pose --keypoints void in.mkv -o out/x --people two", `--people "two": give one or all`},
	{2, "prepare pose --keypoints void in.mkv -o out/x --confidence 1", `--confidence 1: give a number from 0 to below 1`},
	{2, "prepare pose --keypoints void in.mkv -o out/x --stroke -1", `--stroke -1: give a number above 0`},
	{2, "prepare pose --keypoints void in.mkv -o out/x --stroke 0", `--stroke 0: give a number above 0`},
	{2, "prepare pose --nonsense", `unknown flag: --nonsense; see v2v prepare pose --help`},
	{2, "prepare face in.mkv -o out/x", `give --landmarks DIR`},
	{2, "prepare labels in.mkv -o out/x", `give --palette FILE, --ids or --densepose`},
	{2, "prepare labels --ids --densepose in.mkv -o out/x", `exclude one another`},
	{2, "prepare labels --palette nowhere.txt in.mkv -o out/x", `nowhere.txt: no such file`},
	{2, "prepare labels --palette text.mp4 in.mkv -o out/x", `read palette "text.mp4": not a palette: line 1: "dear diary"`},
	{2, "prepare labels --palette city.txt --tolerance 0 in.mkv -o out/x", `--tolerance 0: give a number above 0`},
	{2, "prepare labels --ids in.mkv -o out/x --label-nc 257", `--label-nc 257: give 1 to 256`},
	{2, "prepare labels --densepose in.mkv --instances void -o out/x", `--instances goes with labels`},
	{4, "prepare labels --ids in.mkv --real nowhere.mkv -o out/x", `nowhere.mkv`},
	{2, "prepare check", `accepts 1 arg`},
	{2, "prepare check data extra", `accepts 1 arg`},
	{2, "prepare check void --label-nc -1", `--label-nc -1: give 1 to 256`},

	{2, "train --out out/x", `give --data DIR and --out RUN`},
	{2, "train --data data --out out/x --config nowhere.toml", `nowhere.toml: no such file`},
	{2, "train --data data --out out/x --config unknown.toml", `configuration unknown.toml:3: unknown key generator.nfg`},
	{2, "train --data data --out out/x --config broken.toml", `configuration broken.toml:1: `},
	{2, "train --data data --out out/x --steps 0", `give at least 1`},
	{6, "train --data data --out out/x --vgg in.mkv", `--vgg: opening in.mkv: it is a video`},
	{4, "train --data nowhere --out out/x --config l1.toml", `there is no folder nowhere: v2v prepare makes one`},
	{4, "train --data void --out out/x --config l1.toml", `it wants folders`},
}

func TestRefusals(t *testing.T) {
	if err := ffio.Available(); err != nil {
		t.Skipf("ffmpeg is missing: %v", err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("V2V_MODEL", "m.safetensors")
	furnish(t)
	for _, tt := range refusals {
		var out, errs bytes.Buffer
		args := strings.Fields(tt.args)
		if args[0] == "bench" && !strings.Contains(tt.args, "--model") {
			args = append(args, "--model=")
		}
		code := run(args, &out, &errs)
		lines := strings.Count(errs.String(), "\n")
		if code != tt.code || lines != 1 || !strings.HasPrefix(errs.String(), "v2v: ") || !regexp.MustCompile(tt.want).MatchString(errs.String()) {
			t.Errorf("v2v %s: code %d, want %d and one line like %q:\n%s", tt.args, code, tt.code, tt.want, errs.String())
		}
		if out.Len() > 0 {
			t.Errorf("v2v %s: says %q on stdout", tt.args, out.String())
		}
		if left, err := os.ReadDir("out"); err != nil || len(left) > 0 {
			t.Fatalf("v2v %s: leaves %v behind (%v)", tt.args, left, err)
		}
	}
}

// furnish fills the working folder with what the refusals are about.
func furnish(t *testing.T) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(tinyModel("m.safetensors", 1))
	_, err := published.Export(t.Context(), "m.safetensors", "net.pth")
	must(err)
	model, err := os.ReadFile("m.safetensors")
	must(err)
	for name, content := range map[string]string{
		"text.mp4": "dear diary\n", "text.png": "dear diary\n", "text.pth": "dear diary\n", "empty.mp4": "",
		"lfs.safetensors":   "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
		"short.safetensors": string(model[:len(model)/2]), "tiny.safetensors": string(model[:5]),
		"other.safetensors": "\x02\x00\x00\x00\x00\x00\x00\x00{}",
		"unknown.toml":      "steps = 3\n[generator]\nnfg = 3\n", "broken.toml": "steps = =\n",
		"city.txt": "7 128 64 128 road\n",
		"l1.toml":  "[weights]\nflow = 0\nflow_warp = 0\nwarp = 0\nmask = 0\ntemporal = 0\n",
	} {
		must(os.WriteFile(name, []byte(content), 0o644))
	}
	for _, dir := range []string{"out", "void", "sub.safetensors"} {
		must(os.Mkdir(dir, 0o755))
	}
	for name, source := range map[string]string{
		"in.mkv": "testsrc2=s=48x32:r=25:d=0.2", "in.mp4": "testsrc2=s=48x32:r=25:d=0.2", "wide.mkv": "testsrc2=s=64x32:r=25:d=0.2", "sound.mp4": "sine=d=0.1",
	} {
		out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, name).CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, out)
		}
	}
}
