package weights

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pthRoot is the folder that torch.save puts everything of an archive in.
const pthRoot = "archive/"

// pthAlign is where torch.save lets storages begin, so that they can be mapped.
const pthAlign = 64

// WritePTH makes a PyTorch checkpoint, whole or not at all: the state dict of
// the tensors in the order given, in the zip format of PyTorch 1.6 and later.
// Names and types are kept, each tensor has a storage of its own.
func WritePTH(path string, tensors []Tensor) error {
	names := map[string]bool{}
	for _, t := range tensors {
		err := t.check()
		if names[t.Name] || t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name) {
			err = errors.New("the name is taken or impossible")
		}
		if err != nil {
			return fmt.Errorf("writing %s: tensor %q: %w", path, t.Name, err)
		}
		names[t.Name] = true
	}
	return atomically(path, func(f *os.File) error {
		a := &archive{to: &counter{Writer: f}}
		a.zip = zip.NewWriter(a.to)
		if err := a.entry("data.pkl", pickleTensors(tensors)); err != nil {
			return err
		}
		if err := a.entry("byteorder", []byte("little")); err != nil {
			return err
		}
		b := &buffers{bytes: make([]byte, 1<<20)}
		for i, t := range tensors {
			w, err := a.begin(fmt.Sprint("data/", i))
			if err == nil {
				err = b.write(w, t)
			}
			if err != nil {
				return err
			}
		}
		if err := a.entry("version", []byte("3\n")); err != nil {
			return err
		}
		return a.zip.Close()
	})
}

// archive is a zip file of stored entries, as PyTorch wants it.
type archive struct {
	to   *counter
	zip  *zip.Writer
	data int64 // where the last entry's bytes begin; 0 before the first
}

func (a *archive) entry(name string, body []byte) error {
	w, err := a.begin(name)
	if err == nil {
		_, err = w.Write(body)
	}
	return err
}

// begin starts an entry whose bytes will be aligned.
func (a *archive) begin(name string) (io.Writer, error) {
	if err := a.zip.Flush(); err != nil {
		return nil, err
	}
	const header, field = 30, 4 // bytes of an entry's header, and of an extra field's
	at := a.to.n + a.trailer() + header + int64(len(pthRoot+name)) + field
	pad := int((pthAlign - at%pthAlign) % pthAlign)
	extra := append(le.AppendUint16([]byte("FB"), uint16(pad)), make([]byte, pad)...)
	w, err := a.zip.CreateHeader(&zip.FileHeader{Name: pthRoot + name, Method: zip.Store, Extra: extra})
	if err == nil {
		err = a.zip.Flush()
	}
	a.data = a.to.n
	return w, err
}

// trailer is what zip will write behind the last entry before the next one: its
// checksum and sizes, which are wide where they have to be.
func (a *archive) trailer() int64 {
	switch {
	case a.data == 0:
		return 0
	case a.to.n-a.data >= math.MaxUint32:
		return 24
	}
	return 16
}

// pickleTensors is what Python's pickler makes of an OrderedDict of tensors,
// without the memo: the i-th tensor is the whole of storage i.
func pickleTensors(tensors []Tensor) []byte {
	p := pickler("\x80\x02")
	p.add("ccollections\nOrderedDict\n)R(")
	for i, t := range tensors {
		p.text(t.Name)
		p.add("ctorch._utils\n_rebuild_tensor_v2\n((")
		p.text("storage")
		p.add("c", strings.Replace(storageClass(t.DType), ".", "\n", 1), "\n")
		p.text(strconv.Itoa(i))
		p.text("cpu")
		p.number(t.info().Elements())
		p.add("tQK\x00(")
		stride := make([]int, len(t.Shape))
		for d, n := len(stride)-1, 1; d >= 0; d-- {
			p.number(t.Shape[len(stride)-1-d])
			stride[d] = n
			n *= max(t.Shape[d], 1)
		}
		p.add("t(")
		for _, n := range stride {
			p.number(n)
		}
		p.add("t\x89ccollections\nOrderedDict\n)RtR")
	}
	p.add("u.")
	return p
}

// storageClass is PyTorch's class of storages of a type.
func storageClass(t DType) string {
	for class, of := range storageTypes {
		if of == t && strings.Count(class, ".") == 1 {
			return class
		}
	}
	return ""
}

// pickler is a pickle of protocol 2 in the making.
type pickler []byte

func (p *pickler) add(code ...string) {
	for _, c := range code {
		*p = append(*p, c...)
	}
}

func (p *pickler) text(s string) {
	*p = append(le.AppendUint32(append(*p, 'X'), uint32(len(s))), s...)
}

func (p *pickler) number(n int) {
	if n == int(int32(n)) {
		*p = le.AppendUint32(append(*p, 'J'), uint32(n))
		return
	}
	*p = le.AppendUint64(append(*p, 0x8a, 8), uint64(n))
}
