package weights

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// The bounds of a pickle that describes tensors. A tensor takes some 30
// instructions and 150 bytes, so they leave room for tens of thousands, and
// the values built stay below some 100 MB whatever the file says.
const (
	maxPickle    = 16 << 20
	maxPickleOps = 1 << 20
)

// What a pickle builds. Other values are nil, bool, int, float64, string,
// *storageView and *pthTensor.
type (
	pyTuple []any
	pyList  struct{ items []any }
	pyDict  struct{ items []pyItem }
	pyItem  struct{ key, value any }
	pyLong  string // more than 64 bits: only legacy files' magic number
	pyFunc  func(args pyTuple) (any, error)
)

// unpickler runs the instructions that Python's pickler emits for
// dictionaries of tensors, and no others. It never calls anything but the
// functions that find returns.
type unpickler struct {
	in    []byte
	at    int
	stack []any
	marks []int // stack heights
	memo  map[int]any

	find       func(module, name string) (any, error)
	persistent func(id pyTuple) (any, error)
}

// unpickle runs one pickle at the start of in and returns its value and
// length.
func (u *unpickler) unpickle(in []byte) (any, int, error) {
	*u = unpickler{in: in[:min(len(in), maxPickle)], memo: map[int]any{}, find: u.find, persistent: u.persistent}
	for range maxPickleOps {
		start := u.at
		op, err := u.bytes(1)
		if err == nil {
			if op[0] == '.' {
				v, err := u.pop()
				return v, u.at, err
			}
			err = u.step(op[0])
		}
		if err != nil {
			return nil, 0, fmt.Errorf("pickle at byte %d: %w", start, err)
		}
	}
	return nil, 0, fmt.Errorf("pickle of more than %d instructions", maxPickleOps)
}

func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := u.bytes(1)
		if err == nil && v[0] > 5 {
			return fmt.Errorf("pickle protocol %d is unknown", v[0])
		}
		return err
	case 0x95: // FRAME: a hint for readers of streams
		_, err := u.bytes(8)
		return err
	case 'N':
		return u.push(nil)
	case 0x88, 0x89:
		return u.push(op == 0x88)
	case 'K', 'M', 'J', 'G', 0x8a:
		return u.number(op)
	case 'U', 0x8c, 'C':
		return u.text(1)
	case 'T', 'X', 'B':
		return u.text(4)
	case '(', ')', 't', 0x85, 0x86, 0x87, ']', 'a', 'e', '}', 's', 'u':
		return u.container(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return u.remember(op)
	case 'c', 0x93, 'R', 'Q', 'b':
		return u.call(op)
	}
	return fmt.Errorf("instruction %#02x does not belong to a checkpoint", op)
}

func (u *unpickler) number(op byte) error {
	n := 1
	switch op {
	case 'M':
		n = 2
	case 'J':
		n = 4
	case 'G':
		n = 8
	}
	b, err := u.bytes(n)
	if err != nil {
		return err
	}
	switch op {
	case 'K':
		return u.push(int(b[0]))
	case 'M':
		return u.push(int(le.Uint16(b)))
	case 'J':
		return u.push(int(int32(le.Uint32(b))))
	case 'G':
		var f uint64 // the one big-endian number of the format
		for _, x := range b {
			f = f<<8 | uint64(x)
		}
		return u.push(math.Float64frombits(f))
	}
	if b, err = u.bytes(int(b[0])); err != nil {
		return err
	}
	if len(b) > 8 {
		return u.push(pyLong(b))
	}
	v := 0
	for i, x := range b {
		v |= int(x) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return u.push(v << shift >> shift) // extends the sign; no bytes at all are zero
}

// text pushes a string whose length is in the next width bytes.
func (u *unpickler) text(width int) error {
	b, err := u.bytes(width)
	if err != nil {
		return err
	}
	n := int(b[0])
	if width == 4 {
		n = int(le.Uint32(b))
	}
	if b, err = u.bytes(n); err != nil {
		return err
	}
	return u.push(string(b))
}

func (u *unpickler) container(op byte) error {
	switch op {
	case '(':
		u.marks = append(u.marks, len(u.stack))
		return nil
	case ')':
		return u.push(pyTuple(nil))
	case ']':
		return u.push(&pyList{})
	case '}':
		return u.push(&pyDict{})
	case 'a':
		return u.extend(u.popN(1))
	case 's':
		return u.extend(u.popN(2))
	case 'e', 'u':
		return u.extend(u.popMark())
	}
	var items []any
	var err error
	if op == 't' {
		items, err = u.popMark()
	} else {
		items, err = u.popN(int(op - 0x84))
	}
	if err != nil {
		return err
	}
	return u.push(pyTuple(items))
}

// extend adds items to the list or dictionary on top of the stack.
func (u *unpickler) extend(items []any, err error) error {
	if err != nil {
		return err
	}
	top, err := u.pop()
	if err != nil {
		return err
	}
	switch c := top.(type) {
	case *pyList:
		c.items = append(c.items, items...)
	case *pyDict:
		if len(items)%2 != 0 {
			return errors.New("a key without a value")
		}
		for i := 0; i < len(items); i += 2 {
			c.items = append(c.items, pyItem{items[i], items[i+1]})
		}
	default:
		return fmt.Errorf("items are added to a %T", top)
	}
	return u.push(top)
}

func (u *unpickler) remember(op byte) error {
	key := len(u.memo) // MEMOIZE numbers by itself
	switch op {
	case 'q', 'h':
		b, err := u.bytes(1)
		if err != nil {
			return err
		}
		key = int(b[0])
	case 'r', 'j':
		b, err := u.bytes(4)
		if err != nil {
			return err
		}
		key = int(le.Uint32(b))
	}
	if op == 'h' || op == 'j' {
		v, ok := u.memo[key]
		if !ok {
			return fmt.Errorf("value %d is used before it is remembered", key)
		}
		return u.push(v)
	}
	v, err := u.pop()
	if err != nil {
		return err
	}
	u.memo[key] = v
	return u.push(v)
}

func (u *unpickler) call(op byte) error {
	switch op {
	case 'c':
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.global(module, name)
	case 0x93:
		names, err := u.popN(2)
		if err != nil {
			return err
		}
		return u.global(names[0], names[1])
	case 'Q':
		v, err := u.pop()
		if err != nil {
			return err
		}
		id, ok := v.(pyTuple)
		if !ok || u.persistent == nil {
			return errors.New("an unexpected persistent value")
		}
		if v, err = u.persistent(id); err != nil {
			return err
		}
		return u.push(v)
	case 'b': // attributes of a dictionary or tensor: nothing that a weight needs
		_, err := u.pop()
		return err
	}
	pair, err := u.popN(2)
	if err != nil {
		return err
	}
	f, ok := pair[0].(pyFunc)
	args, tuple := pair[1].(pyTuple)
	if !ok || !tuple {
		return fmt.Errorf("a %T is called", pair[0])
	}
	v, err := f(args)
	if err != nil {
		return err
	}
	return u.push(v)
}

func (u *unpickler) global(module, name any) error {
	m, ok := module.(string)
	n, also := name.(string)
	if !ok || !also || u.find == nil {
		return errors.New("an unexpected class")
	}
	v, err := u.find(m, n)
	var unknown *unknownClass
	if errors.As(err, &unknown) {
		unknown.whole = len(u.stack) == 1 && u.stack[0] == "module" || len(u.stack) == 0 && u.instantiates()
	}
	if err != nil {
		return err
	}
	return u.push(v)
}

// instantiates reports whether an empty object is made of the class just named.
func (u *unpickler) instantiates() bool {
	rest := u.in[u.at:]
	if len(rest) > 2 && rest[0] == 'q' { // remembered meanwhile
		rest = rest[2:]
	}
	return bytes.HasPrefix(rest, []byte(")\x81"))
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.popN(1)
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

// popN takes the n topmost values, none from below the last mark. The result
// is a copy: the stack goes on.
func (u *unpickler) popN(n int) ([]any, error) {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	at := len(u.stack) - n
	if at < floor {
		return nil, errors.New("the stack is empty")
	}
	v := append([]any(nil), u.stack[at:]...)
	u.stack = u.stack[:at]
	return v, nil
}

func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("no mark is set")
	}
	at := u.marks[len(u.marks)-1]
	v, err := u.popN(len(u.stack) - at)
	u.marks = u.marks[:len(u.marks)-1]
	return v, err
}

func (u *unpickler) bytes(n int) ([]byte, error) {
	if n > len(u.in)-u.at {
		return nil, fmt.Errorf("it ends within an instruction, or is longer than %d bytes", maxPickle)
	}
	b := u.in[u.at : u.at+n]
	u.at += n
	return b, nil
}

// line reads a name up to its newline; no module path is longer than 1000.
func (u *unpickler) line() (string, error) {
	for i, c := range u.in[u.at:min(len(u.in), u.at+1000)] {
		if c == '\n' {
			s := string(u.in[u.at : u.at+i])
			u.at += i + 1
			return s, nil
		}
	}
	return "", errors.New("a class name without end")
}
