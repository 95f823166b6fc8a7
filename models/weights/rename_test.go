package weights

import (
	"maps"
	"strings"
	"testing"
)

func TestRename(t *testing.T) {
	r, err := NewRename(
		Rule{Prefix: "module."},
		Rule{Match: `^model_down_(seg|img)\.`, To: "down.$1."},
		Rule{Match: `\.(running_(mean|var)|num_batches_tracked)$`, Drop: true},
		Rule{Prefix: "netD.", Drop: true},
		Rule{Prefix: "down.", To: "encoder."},
	)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"module.model_down_seg.1.weight": "encoder.seg.1.weight",
		"model_down_img.1.bias":          "encoder.img.1.bias",
		"a.module.b":                     "a.module.b",
		"module.module.a":                "module.a",
		"norm.running_mean":              "",
		"module.netD.0.weight":           "",
		"x":                              "x",
	} {
		if got, keep := r.Apply(in); got != want || keep != (want != "") {
			t.Errorf("%s becomes %q, %v, want %q", in, got, keep, want)
		}
	}
	got, err := r.Map([]string{"module.a", "b", "norm.running_var"})
	if err != nil || !maps.Equal(got, map[string]string{"a": "module.a", "b": "b"}) {
		t.Errorf("map %v, %v", got, err)
	}
	if _, err := r.Map([]string{"module.a", "a"}); err == nil || !strings.Contains(err.Error(), `"module.a" and "a" both become "a"`) {
		t.Errorf("a collision gives %v", err)
	}
	if got, keep := (Rename{}).Apply("module.a"); got != "module.a" || !keep {
		t.Errorf("no rules make %q, %v of module.a", got, keep)
	}
}

func TestNewRenameRefuses(t *testing.T) {
	for _, bad := range []Rule{{}, {To: "a"}, {Prefix: "a", Match: "a"}, {Match: "("}, {Prefix: "a", To: "b", Drop: true}} {
		if _, err := NewRename(Rule{Prefix: "fine"}, bad); err == nil || !strings.Contains(err.Error(), "renaming rule 2") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
