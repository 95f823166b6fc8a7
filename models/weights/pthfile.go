package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// readZip reads the format of PyTorch 1.6 and later: NAME/data.pkl describes
// the tensors, NAME/data/KEY are the storages, all stored uncompressed.
func readZip(data []byte) (any, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("damaged or truncated, download it again: %w", err)
	}
	files := make(map[string]*zip.File, len(r.File))
	root := ""
	for _, f := range r.File {
		if files[f.Name] != nil {
			return nil, fmt.Errorf("it holds %q twice", f.Name)
		}
		files[f.Name] = f
		if dir, ok := strings.CutSuffix(f.Name, "/data.pkl"); ok && !strings.Contains(dir, "/") {
			root = dir + "/"
		}
		if strings.HasSuffix(f.Name, "/constants.pkl") || strings.HasSuffix(f.Name, "/model.json") {
			return nil, errors.New("it is a TorchScript archive, which holds a program: save the network's state_dict() instead")
		}
	}
	if root == "" {
		return nil, errors.New("it is a zip archive without a checkpoint of its own: unpack it first")
	}
	if order := files[root+"byteorder"]; order != nil {
		begin, end, err := stored(data, order)
		if err != nil || string(data[begin:end]) != "little" {
			return nil, errors.New("it was saved on a big-endian machine, which is not supported")
		}
	}
	begin, end, err := stored(data, files[root+"data.pkl"])
	if err != nil {
		return nil, err
	}
	storages := map[string]*storage{}
	u := unpickler{find: findGlobal, persistent: func(id pyTuple) (any, error) {
		s, fresh, err := storageOf(id, storages)
		if err != nil || !fresh {
			return s, err
		}
		begin, end, err := stored(data, files[root+"data/"+s.key])
		if err != nil {
			return nil, fmt.Errorf("storage %q: %w", s.key, err)
		}
		if s.numel > (end-begin)/s.dtype.Size() {
			return nil, fmt.Errorf("storage %q has %d bytes, too few for %d elements of %s", s.key, end-begin, s.numel, s.dtype)
		}
		s.begin = begin
		return s, nil
	}}
	v, _, err := u.unpickle(data[begin:end])
	return v, err
}

// stored finds an archive member within the mapped file.
func stored(data []byte, f *zip.File) (begin, end int, err error) {
	switch {
	case f == nil:
		return 0, 0, errors.New("the archive lacks it")
	case f.Method != zip.Store || f.Flags&1 != 0 || f.CompressedSize64 != f.UncompressedSize64:
		return 0, 0, fmt.Errorf("%s is compressed or encrypted, which torch.save never does", f.Name)
	}
	at, err := f.DataOffset()
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", f.Name, err)
	}
	if at < 0 || at > int64(len(data)) || f.UncompressedSize64 > uint64(len(data))-uint64(at) {
		return 0, 0, fmt.Errorf("%s exceeds the file", f.Name)
	}
	return int(at), int(at) + int(f.UncompressedSize64), nil
}

// legacyNumber is 0x1950a86a20f9469cfc6c as a pickle holds it.
const legacyNumber = pyLong("l\xfc\x9cF\xf9 j\xa8P\x19")

// readLegacy reads the format before PyTorch 1.6: five pickles (magic number,
// protocol, system, the object, keys of storages), then each storage as an
// eight-byte count and its elements.
func readLegacy(data []byte) (any, error) {
	at := 0
	next := func(u *unpickler) (any, error) {
		v, n, err := u.unpickle(data[at:])
		at += n
		return v, err
	}
	var head [3]any
	for i := range head {
		v, err := next(&unpickler{})
		if err != nil || i == 0 && v != legacyNumber {
			return nil, errors.New("it is a Python pickle, not a PyTorch checkpoint")
		}
		head[i] = v
	}
	if head[1] != 1001 {
		return nil, errors.New("its legacy protocol is not 1001, the only one there was")
	}
	if system, ok := head[2].(*pyDict); ok && system.get("little_endian") == false {
		return nil, errors.New("it was saved on a big-endian machine, which is not supported")
	}
	storages := map[string]*storage{}
	root, err := next(&unpickler{find: findGlobal, persistent: func(id pyTuple) (any, error) {
		return legacyStorage(id, storages)
	}})
	if err != nil {
		return nil, err
	}
	keys, err := next(&unpickler{})
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pyList)
	if !ok || len(list.items) != len(storages) {
		return nil, fmt.Errorf("the list of its %d storages is damaged", len(storages))
	}
	return root, placeStorages(data, at, list.items, storages)
}

// legacyStorage is a storage, or where a sixth value (key, offset, size) says
// so, a part of one.
func legacyStorage(id pyTuple, storages map[string]*storage) (any, error) {
	s, _, err := storageOf(id, storages)
	if err != nil || len(id) < 6 || id[5] == nil {
		return s, err
	}
	part, ok := id[5].(pyTuple)
	if !ok || len(part) != 3 {
		return nil, errors.New("a storage view with unexpected properties")
	}
	offset, ok := part[1].(int)
	size, also := part[2].(int)
	if !ok || !also || offset < 0 || size < 0 || offset > s.numel || size > s.numel-offset {
		return nil, fmt.Errorf("a view of storage %q exceeds it", s.key)
	}
	return &storageView{s.storage, offset, size}, nil
}

// storageOf reads the persistent id ("storage", class, key, location, numel,
// ...), and says whether the key is new.
func storageOf(id pyTuple, storages map[string]*storage) (s *storageView, fresh bool, err error) {
	if len(id) < 5 || id[0] != "storage" {
		return nil, false, errors.New("a reference to something other than a storage")
	}
	dtype, ok := id[1].(DType)
	key, ok1 := id[2].(string)
	numel, ok2 := id[4].(int)
	if !ok || !ok1 || !ok2 || numel < 0 || numel > maxNumel {
		return nil, false, errors.New("a storage with unexpected properties")
	}
	old := storages[key]
	if old == nil {
		old = &storage{key: key, dtype: dtype, numel: numel}
		storages[key] = old
		fresh = true
	} else if old.dtype != dtype || old.numel != numel {
		return nil, false, fmt.Errorf("storage %q is described in two ways", key)
	}
	return &storageView{old, 0, numel}, fresh, nil
}

// maxNumel keeps sums of offsets from overflowing until the file's own size
// has had its say.
const maxNumel = 1 << 48

// placeStorages finds each storage in the tail of a legacy file.
func placeStorages(data []byte, at int, keys []any, storages map[string]*storage) error {
	for _, k := range keys {
		key, ok := k.(string)
		s := storages[key]
		if !ok || s == nil || s.begin != 0 {
			return fmt.Errorf("storage %q is listed twice or unknown", key)
		}
		if len(data)-at < 8 || s.numel > (len(data)-at-8)/s.dtype.Size() {
			return fmt.Errorf("truncated: storage %q of %d elements of %s exceeds the file", key, s.numel, s.dtype)
		}
		if n := le.Uint64(data[at:]); n != uint64(s.numel) {
			return fmt.Errorf("damaged: storage %q has %d elements, not %d", key, n, s.numel)
		}
		s.begin = at + 8
		at = s.begin + s.numel*s.dtype.Size()
	}
	return nil
}
