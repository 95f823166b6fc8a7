package published

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nvidia and junyanz print options like this.
const (
	nvidia = `------------ Options -------------
add_face_disc: False
fg: True
fg_labels: [26, 24]
label_nc: 35
name: label2city_1024_g1
no_first_img: False
ntest: inf
use_instance: True
-------------- End ----------------
`
	junyanz = `----------------- Options ---------------
               batch_size: 1                             
          checkpoints_dir: ./checkpoints                   	[default: ./checkpoints]
                 dataroot: C:\data\maps                  	[default: None]
                 input_nc: 1                             	[default: 3]
               no_dropout: True                          	[default: None]
----------------- End -------------------
`
)

func TestParseOpt(t *testing.T) {
	for text, want := range map[string]Opt{
		nvidia: {"add_face_disc": "False", "fg": "True", "fg_labels": "[26, 24]", "label_nc": "35", "name": "label2city_1024_g1",
			"no_first_img": "False", "ntest": "inf", "use_instance": "True"},
		junyanz: {"batch_size": "1", "checkpoints_dir": "./checkpoints", "dataroot": `C:\data\maps`, "input_nc": "1", "no_dropout": "True"},
		"":      {},
	} {
		got, err := ParseOpt([]byte(text))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
	}
	for text, want := range map[string]string{
		"\xff\xfe":                          "no text",
		"a: \x00":                           "no text",
		"dear diary\n":                      "line 1 is not",
		"a: 1\nhow to: pickle\n":            "line 2 is not",
		": 1":                               "line 1 is not",
		strings.Repeat("a: 1\n", 3000):      "more than 2000 lines",
		strings.Repeat("a", maxOptBytes+10): "longer than",
	} {
		if _, err := ParseOpt([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

func TestOptValues(t *testing.T) {
	o, err := ParseOpt([]byte(nvidia))
	if err != nil {
		t.Fatal(err)
	}
	if n := o.number("label_nc"); n == nil || *n != 35 {
		t.Errorf("label_nc is %v", n)
	}
	if o.number("name") != nil || o.number("none") != nil || o.flag("label_nc") != nil || o.flag("none") != nil || o.numbers("name") != nil {
		t.Error("what is not there has a value")
	}
	if !o.set("fg") || o.set("add_face_disc") || o.set("none") {
		t.Error("truth values are wrong")
	}
	for text, want := range map[string][]int{"26": {26}, "[26, 24]": {26, 24}, "26,24": {26, 24}, "(1,)": nil, "": nil} {
		if d := cmp.Diff(want, Opt{"x": text}.numbers("x")); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

// FuzzParseOpt: options are bounded, and trimmed text without their note.
func FuzzParseOpt(f *testing.F) {
	f.Add([]byte(nvidia))
	f.Add([]byte(junyanz))
	f.Add([]byte("a:b:c [default: d]\n--\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := ParseOpt(text)
		if err != nil {
			return
		}
		if len(o) > maxOptLines {
			t.Fatalf("%d options", len(o))
		}
		for name, value := range o {
			if name == "" || strings.ContainsAny(name, " \t\n") || value != strings.TrimSpace(value) || strings.Contains(value, "\n") {
				t.Fatalf("%q: %q", name, value)
			}
			o.number(name)
			o.flag(name)
			o.numbers(name)
		}
		Surroundings{Options: o}.said()
	})
}
