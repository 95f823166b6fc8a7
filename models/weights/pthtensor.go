package weights

import (
	"errors"
	"fmt"
)

// storage is one block of elements in a checkpoint; tensors are views of it.
type storage struct {
	key   string
	dtype DType
	numel int
	begin int // offset in the file; known once the container has been read
}

// storageView is a part of a storage, as legacy files have them.
type storageView struct {
	*storage
	offset, numel int
}

// storageTypes are the classes that torch names storages by.
var storageTypes = map[string]DType{
	"torch.FloatStorage": F32, "torch.HalfStorage": F16, "torch.BFloat16Storage": BF16, "torch.DoubleStorage": F64,
	"torch.LongStorage": I64, "torch.IntStorage": I32, "torch.ShortStorage": I16, "torch.CharStorage": I8,
	"torch.ByteStorage": U8, "torch.BoolStorage": Bool,
	"torch.storage.UntypedStorage": U8, "torch.storage._UntypedStorage": U8,
}

// findGlobal knows everything that a dictionary of tensors may name.
func findGlobal(module, name string) (any, error) {
	full := module + "." + name
	if t, ok := storageTypes[full]; ok {
		return t, nil
	}
	switch full {
	case "collections.OrderedDict":
		return pyFunc(orderedDict), nil
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return pyFunc(rebuildTensor), nil
	case "torch._utils._rebuild_parameter":
		return pyFunc(rebuildParameter), nil
	}
	return nil, &unknownClass{name: full}
}

// unknownClass is a class of Python that a checkpoint names and no tensor
// needs.
type unknownClass struct {
	name  string
	whole bool // the checkpoint is one object of it
}

// Error implements error.
func (u *unknownClass) Error() string {
	what := "it holds a Python object %q, not only tensors"
	if u.whole {
		what = "it is a whole pickled module %q, not a state dict"
	}
	return fmt.Sprintf(what, u.name) + ", and no code of a file is run: save the network's state_dict() by itself"
}

// orderedDict takes nothing, or as Python 2 wrote it, a list of pairs.
func orderedDict(args pyTuple) (any, error) {
	d := &pyDict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*pyList)
	if !ok || len(args) > 1 {
		return nil, errors.New("an OrderedDict of something unexpected")
	}
	for _, p := range pairs.items {
		var kv []any
		switch p := p.(type) {
		case *pyList:
			kv = p.items
		case pyTuple:
			kv = p
		}
		if len(kv) != 2 {
			return nil, errors.New("an OrderedDict of something other than pairs")
		}
		d.items = append(d.items, pyItem{kv[0], kv[1]})
	}
	return d, nil
}

func rebuildParameter(args pyTuple) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*pthTensor); ok {
			return t, nil
		}
	}
	return nil, errors.New("a parameter without a tensor")
}

// pthTensor is a tensor's view of its storage, in elements. The view has been
// proved to lie within.
type pthTensor struct {
	storage       *storage
	offset        int
	shape, stride []int
}

// rebuildTensor takes (storage, offset, size, stride, ...); what follows is
// about gradients.
func rebuildTensor(args pyTuple) (any, error) {
	if len(args) < 4 {
		return nil, errors.New("a tensor with too few properties")
	}
	view, ok := args[0].(*storageView)
	offset, ok1 := args[1].(int)
	shape, ok2 := ints(args[2])
	stride, ok3 := ints(args[3])
	if !ok || !ok1 || !ok2 || !ok3 || len(shape) != len(stride) {
		return nil, errors.New("a tensor with unexpected properties")
	}
	if err := checkShape(shape, view.dtype); err != nil {
		return nil, fmt.Errorf("a tensor: %w", err)
	}
	t := &pthTensor{storage: view.storage, offset: view.offset + offset, shape: shape, stride: stride}
	if offset < 0 || t.elements() > 0 && !within(offset, shape, stride, view.numel) {
		return nil, fmt.Errorf("a tensor %v with strides %v at %d exceeds its storage of %d elements", shape, stride, offset, view.numel)
	}
	return t, nil
}

func ints(v any) ([]int, bool) {
	t, ok := v.(pyTuple)
	if !ok {
		return nil, false
	}
	ns := make([]int, len(t))
	for i, x := range t {
		if ns[i], ok = x.(int); !ok {
			return nil, false
		}
	}
	return ns, true
}

// within reports whether the last element of a view exists, without overflow.
func within(last int, shape, stride []int, numel int) bool {
	if last >= numel {
		return false
	}
	for i, d := range shape {
		if d == 1 {
			continue
		}
		if stride[i] < 0 || stride[i] > numel/(d-1) {
			return false
		}
		if last += stride[i] * (d - 1); last >= numel {
			return false
		}
	}
	return true
}

func (t *pthTensor) info(name string) Info {
	return Info{Name: name, DType: t.storage.dtype, Shape: t.shape}
}

func (t *pthTensor) elements() int { return t.info("").Elements() }

// rows describes the view as runs of evenly spaced elements: dimensions that
// follow each other in memory are merged, those of one element dropped. The
// last shape and stride are the run's.
func (t *pthTensor) rows() (shape, stride []int) {
	for i, d := range t.shape {
		last := len(shape) - 1
		switch {
		case d == 1:
		case last >= 0 && stride[last] == d*t.stride[i]:
			shape[last] *= d
			stride[last] = t.stride[i]
		default:
			shape, stride = append(shape, d), append(stride, t.stride[i])
		}
	}
	if len(shape) == 0 {
		return []int{1}, []int{1}
	}
	return shape, stride
}

// chunk is how many elements eachRow gathers at a time where they do not lie
// side by side.
const chunk = 1 << 16

// eachRow calls do with the bytes of one run after the other, long ones in
// pieces, in the order of the tensor's elements; row is reused and read only.
// The tensor is not empty.
func (t *pthTensor) eachRow(data []byte, do func(row []byte) error) error {
	shape, stride := t.rows()
	size := t.storage.dtype.Size()
	n, step := shape[len(shape)-1], stride[len(stride)-1]*size
	shape, stride = shape[:len(shape)-1], stride[:len(stride)-1]
	index := make([]int, len(shape))
	at := t.storage.begin + t.offset*size
	r := run{n: n, step: step, size: size}
	for {
		if err := r.pieces(data, at, do); err != nil {
			return err
		}
		d := len(shape) - 1
		for ; d >= 0; d-- {
			at += stride[d] * size
			if index[d]++; index[d] < shape[d] {
				break
			}
			at -= shape[d] * stride[d] * size
			index[d] = 0
		}
		if d < 0 {
			return nil
		}
	}
}

// run is n elements of size bytes, step bytes apart.
type run struct {
	n, step, size int
	buf           []byte
}

// pieces calls do with the elements from at on.
func (r *run) pieces(data []byte, at int, do func(row []byte) error) error {
	most := chunk
	if r.step == r.size {
		most = window / r.size
	} else if r.buf == nil {
		r.buf = make([]byte, min(r.n, chunk)*r.size)
	}
	for from := 0; from < r.n; from += most {
		n := min(most, r.n-from)
		row := data[at+from*r.step:]
		if r.step == r.size {
			row = row[:n*r.size]
		} else {
			for i := range n {
				copy(r.buf[i*r.size:(i+1)*r.size], row[i*r.step:])
			}
			row = r.buf[:n*r.size]
		}
		if err := do(row); err != nil {
			return err
		}
	}
	return nil
}

// span is the part of the file that the tensor touches. It is not empty.
func (t *pthTensor) span() (begin, end int) {
	last := t.offset
	for i, d := range t.shape {
		last += (d - 1) * t.stride[i]
	}
	size := t.storage.dtype.Size()
	return t.storage.begin + t.offset*size, t.storage.begin + (last+1)*size
}

// contiguous reports whether the elements lie in the file as they are wanted.
func (t *pthTensor) contiguous() bool {
	shape, stride := t.rows()
	return len(shape) == 1 && (stride[0] == 1 || shape[0] == 1)
}
