package engine

import "testing"

// compiled is a device that notes the precision it was asked for.
type compiled struct {
	Device
	asked *Precision
}

func (c compiled) Compile(_ *Program, o Options) (Executable, error) {
	*c.asked = o.Precision
	return nil, nil
}

// TestPrecise: programs that name no precision get the device's, others theirs.
func TestPrecise(t *testing.T) {
	var asked Precision
	d := Precise(compiled{asked: &asked}, BFloat16)
	for _, c := range []struct{ named, want Precision }{{Float32, BFloat16}, {TF32, TF32}, {BFloat16, BFloat16}} {
		if _, err := d.Compile(nil, Options{Precision: c.named}); err != nil || asked != c.want {
			t.Errorf("named %v, compiled in %v, %v", c.named, asked, err)
		}
	}
	if d := Precise(compiled{asked: &asked}, Float32); d != (compiled{asked: &asked}) {
		t.Error("a device in float32 is another one")
	}
}
