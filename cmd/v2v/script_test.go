package main

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvio"
	"github.com/v2v/v2v/video/ffio"
)

func TestMain(m *testing.M) {
	os.Exit(testscript.RunMain(m, map[string]func() int{
		"v2v": func() int { return run(os.Args[1:], os.Stdout, os.Stderr) },
	}))
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			models, err := filepath.Abs("../../models")
			e.Setenv("INCEPTION", filepath.Join(models, "published/testdata/inception_fid.safetensors"))
			e.Setenv("VGG", filepath.Join(models, "train/testdata/perceptual"))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rc": cmdRC, "model": cmdModel, "clip": cmdClip, "frames": cmdFrames, "await": cmdAwait, "cut": cmdCut, "json": cmdJSON,
			"named": cmdNamed, "flip": cmdFlip, "people": cmdPeople, "faces": cmdFaces, "pixel": cmdPixel,
			"image": cmdImage, "vgg": cmdVGG, "same": cmdSame, "psnr": cmdPSNR,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "ffmpeg":
				return ffio.Available() == nil, nil
			case "cgo":
				_, err := cvio.Open(t.Context(), video.Info{Path: "."}, cvio.ReadOptions{})
				return !strings.Contains(err.Error(), "without OpenCV"), nil
			}
			return false, errors.New("unknown condition " + cond)
		},
	})
}

// cmdRC runs a program and demands its exit code: rc 4 v2v convert ...
func cmdRC(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdModel writes a tiny model with random weights: model FILE [SEED].
func cmdModel(ts *testscript.TestScript, neg bool, args []string) {
	seed := uint64(1)
	if len(args) > 1 {
		var err error
		seed, err = strconv.ParseUint(args[1], 10, 64)
		ts.Check(err)
	}
	ts.Check(tinyModel(ts.MkAbs(args[0]), seed))
}

func tinyModel(path string, seed uint64) error {
	net := &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "instance"}
	params, err := models.Parameters(net)
	if err != nil {
		return err
	}
	byName := map[string]nn.Param{}
	for _, p := range params {
		byName[p.Name] = p
	}
	c, err := models.NewConfig("vid2vid", net, models.About{Extract: "edges", Size: "32x48"})
	if err != nil {
		return err
	}
	return models.Save(path, c, false, func(name string, dst []float32) error {
		p := byName[name]
		p.Fill(dst, rand.New(rand.NewPCG(seed, uint64(len(name)))))
		return nil
	})
}

// cmdClip makes a test clip with ffmpeg: clip FILE WxH RATE FRAMES [ARGS...].
func cmdClip(ts *testscript.TestScript, neg bool, args []string) {
	a := []string{"-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=" + args[1] + ":r=" + args[2]}
	a = append(append(a, args[4:]...), "-frames:v", args[3])
	if out, err := exec.Command("ffmpeg", append(a, "file:"+ts.MkAbs(args[0]))...).CombinedOutput(); err != nil {
		ts.Fatalf("ffmpeg %q: %v\n%s", a, err, out)
	}
}

// cmdFrames counts the frames that ffprobe decodes: frames FILE N.
func cmdFrames(ts *testscript.TestScript, neg bool, args []string) {
	out, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames",
		"-of", "csv=p=0", "file:"+ts.MkAbs(args[0])).Output()
	ts.Check(err)
	if got := strings.Trim(string(out), ",\n"); got != args[1] {
		ts.Fatalf("%s has %s frames, want %s", args[0], got, args[1])
	}
}

// cmdAwait waits until a pattern matches a file, five minutes at most.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	for began := time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(20 * time.Millisecond) {
		if found, err := filepath.Glob(ts.MkAbs(args[0])); err != nil || len(found) > 0 {
			ts.Check(err)
			return
		}
	}
	ts.Fatalf("%s never came", args[0])
}

// cmdCut keeps the first part of a file: cut FILE PERCENT.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	percent, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), st.Size()*percent/100))
}

// cmdFlip turns a bit at some percent of a file: flip FILE PERCENT.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	percent, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	b[len(b)*percent/100] ^= 0x10
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// cmdJSON demands that every line of stdout is a JSON object, and that the
// last one has the given fields: json FIELD...
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	var last map[string]any
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			ts.Fatalf("%q is no JSON object: %v", line, err)
		}
	}
	for _, field := range args {
		v := any(last)
		for part := range strings.SplitSeq(field, ".") {
			m, _ := v.(map[string]any)
			v = m[part]
		}
		if v == nil {
			ts.Fatalf("no field %s in %v", field, last)
		}
	}
}

// cmdNamed sets a variable to a name with newlines, which a script cannot
// write: named VAR 'a\nb'.
func cmdNamed(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strings.ReplaceAll(args[1], `\n`, "\n"))
}
