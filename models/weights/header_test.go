package weights

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file puts a header before size bytes of data.
func file(header string, size int) []byte {
	b := le.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, size)...)
}

func TestHeaderIsStrict(t *testing.T) {
	const ok = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for name, c := range map[string]struct {
		header string
		size   int
		want   string // "" for a header that is fine
	}{
		"plain":           {"{" + ok + "}", 8, ""},
		"padded":          {"{" + ok + "}   ", 8, ""},
		"nothing":         {"{}", 0, ""},
		"scalar":          {`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1, ""},
		"unordered":       {`{"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},` + ok + "}", 9, ""},
		"empty tensor":    {`{"b":{"dtype":"F32","shape":[0,9],"data_offsets":[8,8]},` + ok + "}", 8, ""},
		"twice":           {"{" + ok + "," + ok + "}", 8, `"a" appears twice`},
		"field twice":     {`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `"dtype" appears twice`},
		"metadata twice":  {`{"__metadata__":{},"__metadata__":{}}`, 0, `appears twice`},
		"metadata key":    {`{"__metadata__":{"k":"1","k":"2"}}`, 0, `metadata "k" appears twice`},
		"metadata number": {`{"__metadata__":{"k":1}}`, 0, `expected a string, found 1`},
		"metadata deep":   {`{"__metadata__":{"k":{}}}`, 0, `expected a string, found {`},
		"deep":            {`{"a":` + strings.Repeat("[", 9000), 0, `expected {, found [`},
		"no name":         {`{"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, "without a name"},
		"unknown field":   {`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8, `unknown field "x"`},
		"unknown type":    {`{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}`, 2, `element type "F8_E4M3" is not supported`},
		"no shape":        {`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8, "needs dtype, shape"},
		"one offset":      {`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}`, 8, "needs dtype, shape"},
		"three offsets":   {`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8, "at most 2"},
		"wrong bytes":     {`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "F32 [3] is 12 bytes"},
		"backwards":       {`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, "is 8 bytes"},
		"negative":        {`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8, "-2 is not a size"},
		"float":           {`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8, "2.0 is not a size"},
		"exponent":        {`{"a":{"dtype":"F32","shape":[1e9],"data_offsets":[0,8]}}`, 8, "1e9 is not a size"},
		"overflow":        {`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "overflows"},
		"hidden overflow": {`{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "overflows"},
		"dimensions":      {`{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 64) + `1],"data_offsets":[0,1]}}`, 1, "at most 64"},
		"hole before":     {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `1 bytes before tensor "a" belong to nothing`},
		"overlap":         {`{"b":{"dtype":"U8","shape":[2],"data_offsets":[7,9]},` + ok + "}", 9, `tensor "b" overlaps`},
		"same bytes":      {`{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},` + ok + "}", 8, `overlaps`},
		"short":           {"{" + ok + "}", 7, "truncated: header announces"},
		"long":            {"{" + ok + "}", 9, "damaged: header announces"},
		"trailing":        {"{" + ok + "}{}", 8, "data after the JSON object"},
		"unclosed":        {"{" + ok, 8, "unexpected EOF"},
		"not utf-8":       {"{\"\xff\":1}", 0, "not JSON"},
	} {
		_, err := parseLayout(file(c.header, c.size))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestHeaderLengthIsBounded(t *testing.T) {
	for _, n := range []uint64{maxHeader + 1, 1 << 40, 1 << 63, ^uint64(0)} {
		if _, err := parseLayout(append(le.AppendUint64(nil, n), "{}"...)); err == nil {
			t.Errorf("a header of %d bytes is accepted", n)
		}
	}
}

// FuzzSafetensors: what decodes can be written again, reads back the same, and
// its second encoding is the first, byte for byte.
func FuzzSafetensors(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(file(`{"__metadata__":{"v2v":"{}"},"b":{"dtype":"BOOL","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add([]byte(legacyMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLayout(data)
		if err != nil {
			if msg := sniffed(data, err).Error(); msg == "" || strings.Contains(msg, "%!") {
				t.Fatalf("bad message %q", msg)
			}
			return
		}
		path := filepath.Join(t.TempDir(), "f")
		if err := Write(path, l.tensors(data), l.metadata); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		first, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseLayout(first)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !maps.Equal(again.metadata, l.metadata) || len(again.entries) != len(l.entries) {
			t.Fatal("metadata or number of tensors changed")
		}
		byName := map[string]Tensor{}
		for _, x := range l.tensors(data) {
			byName[x.Name] = x
		}
		for _, x := range again.tensors(first) {
			if y := byName[x.Name]; x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Raw, y.Raw) {
				t.Fatalf("tensor %q changed", x.Name)
			}
		}
		if err := Write(path, again.tensors(first), again.metadata); err != nil {
			t.Fatal(err)
		}
		if second, err := os.ReadFile(path); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("encoding is not stable: %v", err)
		}
	})
}

// tensors are the raw tensors of a whole file.
func (l *layout) tensors(file []byte) []Tensor {
	var ts []Tensor
	for _, e := range l.entries {
		raw := append([]byte{}, file[l.data+e.begin:l.data+e.end]...)
		ts = append(ts, Tensor{Name: e.Name, DType: e.DType, Shape: e.Shape, Raw: raw})
	}
	return ts
}
