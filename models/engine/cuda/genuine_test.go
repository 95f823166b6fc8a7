//go:build cgo

package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
)

// TestGenuineLibraries: NVIDIA's own libraries have every function that is looked
// up, and those that tensor maps need.
func TestGenuineLibraries(t *testing.T) {
	for _, c := range []struct {
		l      library
		debian string
	}{{libcuda, "libcuda1"}, {nvrtc, "libnvrtc12"}, {cublasLt, "libcublaslt12"}} {
		t.Run(c.l.name, func(t *testing.T) {
			a := genuine(t, c.l, c.debian)
			for _, s := range symbols[c.l.name] {
				if a.fn[s.name] == nil {
					t.Errorf("%s was not found", s.name)
				}
			}
			h := a.handles[len(a.handles)-1]
			if a.find(h, "v2vHasNoSuchFunction") || c.l.name == libcuda.name && !a.find(h, "cuTensorMapEncodeTiled") {
				t.Error("a function that nobody has was found, or cuTensorMapEncodeTiled not")
			}
		})
	}
}

// TestNoCard: NVIDIA's own driver library without a card is one line that says so.
// It is asked in a process of its own, for once started it cannot be closed.
func TestNoCard(t *testing.T) {
	if os.Getenv("V2V_CUDA_TEST") != "genuine" {
		genuine(t, libcuda, "libcuda1")
		if _, err := os.Stat("/proc/driver/nvidia"); err == nil {
			t.Skip("a machine without a card is missing: this one runs NVIDIA's kernel module")
		}
		child := exec.Command(os.Args[0], "-test.run=^TestNoCard$", "-test.count=1", "-test.v")
		child.Env = append(os.Environ(), "V2V_CUDA_TEST=genuine", "V2V_CUDA_PATH="+strings.Join(toolkitFolders("lib"), string(filepath.ListSeparator)))
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestNoCard") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	cards, err := Probe()
	if err == nil || err.Error() != "open cuda: the driver sees no card: "+engine.ErrUnsupported.Error() {
		t.Errorf("cards %v, %v; want the driver to see none", cards, err)
	}
}

// ltReader reads back what a description or a layout has been told.
type ltReader struct {
	t *testing.T
	a *api
}

func (r ltReader) number(get string, of uint64, attribute, bytes int) int {
	r.t.Helper()
	var out room
	defer out.free()
	if err := r.a.call(get, of, uint64(attribute), out.at(0), uint64(bytes), out.at(1)); err != nil {
		r.t.Fatalf("attribute %d in %d bytes: %v", attribute, bytes, err)
	}
	if out.get(1) != uint64(bytes) {
		r.t.Errorf("attribute %d has %d bytes, not %d", attribute, out.get(1), bytes)
	}
	return int(out.get(0))
}

// ltCase is a convolution that is a product.
func ltCase(kind int, bias bool, post []pointwise) convolution {
	return convolution{kind: kind, x: []int{2, 48, 5, 4}, w: []int{32, 48, 1, 1}, y: []int{2, 32, 5, 4}, stride: 1, bias: bias, post: post}
}

// TestGenuineLT: NVIDIA's own cuBLASLt takes descriptions, which need no card, as
// they are made here, and gives back what was meant; sizes that it does not
// expect it refuses. Without a card it gives no handle, and says so by a status
// that has a name.
func TestGenuineLT(t *testing.T) {
	a := genuine(t, cublasLt, "libcublaslt12")
	for _, name := range []string{"cublasLtMatmulDescGetAttribute", "cublasLtMatrixLayoutGetAttribute", "cublasLtMatmulPreferenceGetAttribute"} {
		if !a.find(a.handles[len(a.handles)-1], name) {
			t.Fatalf("%s was not found", name)
		}
	}
	if v := a.raw("cublasLtGetVersion"); v < 120000 || v >= 140000 {
		t.Errorf("version %d", v)
	}
	r, d := ltReader{t, a}, &Device{api: a}
	for _, precision := range []engine.Precision{engine.Float32, engine.TF32, engine.BFloat16} {
		for _, kind := range []int{ofForward, ofBackData, ofBackFilter} {
			for _, v := range []convolution{ltCase(kind, false, nil), ltCase(kind, kind != ofBackFilter, []pointwise{{mode: pwRelu}})} {
				checkMatmul(t, r, d, v, precision)
			}
		}
	}
	checkPreference(t, r)
	h, err := a.ask("cublasLtCreate")
	if err == nil { // there is a card
		if err := a.call("cublasLtDestroy", h); err != nil {
			t.Error(err)
		}
	} else if !isStatus(err, 1) || !strings.Contains(err.Error(), "CUBLAS_STATUS_NOT_INITIALIZED") || !optional(err) {
		t.Errorf("without a card: %v", err)
	}
}

func checkMatmul(t *testing.T, r ltReader, d *Device, v convolution, precision engine.Precision) {
	t.Helper()
	p, ok := v.product()
	if !ok {
		t.Fatal("that convolution is no product")
	}
	m := d.newMatmul(p, v, precision)
	defer m.destroy()
	if m.err != nil {
		t.Fatal(m.err)
	}
	compute := map[engine.Precision]int{engine.Float32: ltCompute, engine.TF32: ltComputeTF32, engine.BFloat16: ltCompute}[precision]
	const computeType, scaleType = 0, 1 // of a description; the others are only read here, too
	want := map[int]int{computeType: compute, scaleType: ltFloat, ltEpilogue: int(v.epilogue()), ltTurnA: 0, ltTurnB: 0}
	if p.turnA {
		want[ltTurnA] = ltTurned
	}
	if p.turnB {
		want[ltTurnB] = ltTurned
	}
	for attribute, value := range want {
		if got := r.number("cublasLtMatmulDescGetAttribute", m.desc, attribute, 4); got != value {
			t.Errorf("%v of %+v: attribute %d is %d, not %d", precision, p, attribute, got, value)
		}
	}
	if got := r.number("cublasLtMatmulDescGetAttribute", m.desc, ltBias, 8); v.bias != (got == ltStandIn) {
		t.Errorf("the bias is at %d", got)
	}
	if err := d.api.call("cublasLtMatmulDescSetAttribute", m.desc, ltEpilogue, m.numbers, 8); !isStatus(err, 7) {
		t.Errorf("an epilogue of 8 bytes: %v", err)
	}
	const layoutType, layoutRows, layoutColumns, layoutLine = 0, 2, 3, 4
	for i, id := range []int{p.a, p.b, idOut} {
		rows, columns := p.shape(id)
		typ := ltFloat
		if precision == engine.BFloat16 && id != idOut {
			typ = ltBFloat16
		}
		for _, is := range []struct{ attribute, bytes, value int }{{layoutType, 4, typ}, {layoutRows, 8, rows}, {layoutColumns, 8, columns}, {layoutLine, 8, rows}} {
			if got := r.number("cublasLtMatrixLayoutGetAttribute", m.layouts[i], is.attribute, is.bytes); got != is.value {
				t.Errorf("%v, matrix %d: attribute %d is %d, not %d", precision, i, is.attribute, got, is.value)
			}
		}
	}
}

func checkPreference(t *testing.T, r ltReader) {
	t.Helper()
	preference, err := r.a.ask("cublasLtMatmulPreferenceCreate")
	if err != nil {
		t.Fatal(err)
	}
	defer r.a.call("cublasLtMatmulPreferenceDestroy", preference)
	var c heap
	defer c.free()
	if err := r.a.call("cublasLtMatmulPreferenceSetAttribute", preference, ltMostWorkspace, c.numbers(mostLTWorkspace), 8); err != nil {
		t.Fatal(err)
	}
	if got := r.number("cublasLtMatmulPreferenceGetAttribute", preference, ltMostWorkspace, 8); got != mostLTWorkspace {
		t.Errorf("a workspace of %d was told, %d is kept", mostLTWorkspace, got)
	}
}
