package weights

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPickleValues(t *testing.T) {
	for in, want := range map[string]any{
		"\x80\x02N.":         nil,
		"\x88.":              true,
		"\x89.":              false,
		"K\xff.":             255,
		"M\x01\x02.":         0x201,
		"J\xfe\xff\xff\xff.": -2,
		"\x8a\x00.":          0,
		"\x8a\x01\xff.":      -1,
		"\x8a\x02\xff\x00.":  255,
		"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.":               math.MinInt,
		"\x8a\x09123456789.":                                      pyLong("123456789"),
		"G\xbf\xf8\x00\x00\x00\x00\x00\x00.":                      -1.5,
		"U\x02hi.":                                                "hi",
		"X\x02\x00\x00\x00\xc3\xa9.":                              "é",
		"\x80\x04\x95\x04\x00\x00\x00\x00\x00\x00\x00\x8c\x02hi.": "hi",
		"(K\x01K\x02t.":                                           pyTuple{1, 2},
		").":                                                      pyTuple(nil),
		"K\x01K\x02K\x03\x87.":                                    pyTuple{1, 2, 3},
		"](K\x01e.":                                               &pyList{[]any{1}},
		"]K\x01a.":                                                &pyList{[]any{1}},
		"}U\x01aK\x01s.":                                          &pyDict{[]pyItem{{"a", 1}}},
		"}q\x05(U\x01aK\x01U\x01bK\x02uh\x05\x86.": pyTuple{
			&pyDict{[]pyItem{{"a", 1}, {"b", 2}}}, &pyDict{[]pyItem{{"a", 1}, {"b", 2}}}},
		"K\x07\x94h\x00\x86.":                          pyTuple{7, 7},
		"K\x07r\x00\x01\x00\x00j\x00\x01\x00\x00\x86.": pyTuple{7, 7},
		"ccollections\nOrderedDict\n)R}U\x01mK\x01sb.": &pyDict{},
	} {
		u := unpickler{find: findGlobal}
		got, n, err := u.unpickle([]byte(in + "tail"))
		if err != nil || n != len(in) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q = %#v (%d bytes), %v, want %#v", in, got, n, err, want)
		}
	}
}

func TestPickleRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "ends within an instruction",
		"N":                                      "ends within an instruction",
		".":                                      "the stack is empty",
		"X\xff\xff\xff\xffabc":                   "ends within an instruction",
		"U\x05hi":                                "ends within an instruction",
		"\x80\x09.":                              "protocol 9",
		"t.":                                     "no mark is set",
		"K\x01(\x85.":                            "the stack is empty",
		"](K\x01s.":                              "the stack is empty",
		"}(K\x01u.":                              "a key without a value",
		"K\x01K\x02a.":                           "added to a int",
		"h\x03.":                                 "before it is remembered",
		"cos\nsystem\n(U\x02lstR.":               `a Python object "os.system"`,
		"cbuiltins\neval\n.":                     `"builtins.eval"`,
		"U\x02osU\x06system\x93.":                `"os.system"`,
		"K\x01K\x02\x93.":                        "an unexpected class",
		"c" + strings.Repeat("a", 2000):          "a class name without end",
		"K\x01)R.":                               "a int is called",
		"ccollections\nOrderedDict\nNR.":         "is called",
		"K\x01Q.":                                "unexpected persistent",
		"ctorch._utils\n_rebuild_tensor_v2\n)R.": "too few properties",
		"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.": "unexpected properties",
		"ctorch._utils\n_rebuild_parameter\n)R.":      "a parameter without a tensor",
		"ccollections\nOrderedDict\n](]e\x85R.":       "other than pairs",
		"ccollections\nOrderedDict\nN\x85R.":          "unexpected",
		"\x81.":                                       "instruction 0x81",
		"i":                                           "instruction 0x69",
		strings.Repeat("(", maxPickleOps+1) + ".":     "more than",
		"X\x00\x00\x00\x02" + strings.Repeat("a", 2<<24) + ".": "longer than",
	} {
		u := unpickler{find: findGlobal}
		_, _, err := u.unpickle([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", in, err, want)
		}
	}
}

// TestStateDictIsBounded: dictionaries that refer to themselves, to each other
// many times, or have endless names, end in an error and not in our memory.
func TestStateDictIsBounded(t *testing.T) {
	leaf := &pthTensor{storage: &storage{}}
	self := &pyDict{}
	self.items = []pyItem{{"w", leaf}, {"self", self}}
	doubled := &pyDict{[]pyItem{{"w", leaf}}}
	for range maxNesting {
		d := &pyDict{}
		for i := range 8 {
			d.items = append(d.items, pyItem{fmt.Sprint(i), doubled})
		}
		doubled = d
	}
	for name, c := range map[string]struct {
		root any
		want string
	}{
		"self":    {self, "nested deeper"},
		"doubled": {doubled, "more than"},
		"name":    {&pyDict{[]pyItem{{strings.Repeat("n", maxName+1), leaf}}}, "longer than"},
		"number":  {&pyDict{[]pyItem{{1, leaf}}}, "no tensors"},
	} {
		if _, _, err := stateDict(c.root, PTHOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	last := &pyDict{[]pyItem{{"w", nil}, {"w", leaf}, {"w", leaf}}}
	if names, tensors, err := stateDict(last, PTHOptions{}); err != nil || len(names) != 1 || tensors["w"] != leaf {
		t.Errorf("a repeated name gives %v, %v, %v", names, tensors, err)
	}
}

// FuzzPickle reaches the pickle without a container around it: whatever it
// says, views end within their storage.
func FuzzPickle(f *testing.F) {
	legacy, err := os.ReadFile("testdata/pth/legacy.pth")
	if err != nil {
		f.Fatal(err)
	}
	at := bytes.Index(legacy, []byte("ccollections"))
	f.Add(legacy[at:])
	f.Add([]byte("(U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x08(U\x01vK\x02K\x05ttQ."))
	f.Add([]byte("ccollections\nOrderedDict\n](U\x01aNe\x85R."))
	f.Fuzz(func(t *testing.T, data []byte) {
		storages := map[string]*storage{}
		u := unpickler{find: findGlobal, persistent: func(id pyTuple) (any, error) { return legacyStorage(id, storages) }}
		root, _, err := u.unpickle(data)
		if err != nil {
			return
		}
		_, tensors, err := stateDict(root, PTHOptions{})
		if err != nil {
			return
		}
		for name, x := range tensors {
			if x.elements() == 0 {
				continue
			}
			begin, end := x.span()
			size := x.storage.dtype.Size()
			if begin < 0 || end <= begin || end > x.storage.numel*size {
				t.Fatalf("%q spans [%d,%d] of %d elements", name, begin, end, x.storage.numel)
			}
			n := 1
			shape, _ := x.rows()
			for _, d := range shape {
				n *= d
			}
			if n != x.elements() {
				t.Fatalf("%q: rows of %v are not %v", name, shape, x.shape)
			}
		}
	})
}

// FuzzPTH: whatever opens can be read, written as safetensors and as a
// checkpoint, and read back the same.
func FuzzPTH(f *testing.F) {
	goldens, err := filepath.Glob("testdata/pth/*")
	if err != nil || len(goldens) < 10 {
		f.Fatalf("%d goldens, %v", len(goldens), err)
	}
	for _, g := range goldens {
		b, err := os.ReadFile(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "f.pth")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := OpenPTH(path, PTHOptions{})
		if err != nil {
			if strings.Contains(err.Error(), "%!") {
				t.Fatalf("bad message %q", err)
			}
			return
		}
		defer p.Close()
		var ts []Tensor
		for _, name := range p.Names() {
			i, _ := p.Info(name)
			raw, err := p.Bytes(name)
			if err != nil || len(raw) != i.Bytes() {
				t.Fatalf("%q: %d bytes, %v, want %d", name, len(raw), err, i.Bytes())
			}
			if i.DType.Float() {
				floats(t, p, name)
			}
			if name == "" || !bytes.Equal([]byte(name), []byte(strings.ToValidUTF8(name, "?"))) || name == metadataKey {
				return // PyTorch accepts such names, safetensors does not
			}
			ts = append(ts, Tensor{Name: name, DType: i.DType, Shape: i.Shape, Raw: append([]byte{}, raw...)})
		}
		out := filepath.Join(dir, "f.safetensors")
		if err := Write(out, ts, nil); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, p, open(t, out))
		back := filepath.Join(dir, "back.pth")
		if err := WritePTH(back, copies(p)); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, openPTH(t, back, PTHOptions{KeepModule: true}), open(t, out))
	})
}
