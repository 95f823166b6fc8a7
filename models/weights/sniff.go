package weights

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"
)

// magics are the files people hold in their hands when they mean weights.
// Order matters only where one is a prefix of another.
// legacyMagic is how a legacy torch.save stream begins: a protocol 2 pickle of
// the number 0x1950a86a20f9469cfc6c.
const legacyMagic = "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."

var magics = []struct {
	at     int
	prefix string
	what   string
}{
	{0, "version https://git-lfs.github.com", "a Git LFS pointer, not the weights: run `git lfs pull` where it was cloned"},
	{0, legacyMagic, "a PyTorch checkpoint: run `v2v import`"},
	{0, "PK\x03\x04", "a zip archive"},
	{0, "\x1f\x8b", "a gzip archive: unpack it first"},
	{257, "ustar", "a tar archive: unpack it first, or save it again with a PyTorch newer than 0.1"},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 (Keras) file: only safetensors and PyTorch checkpoints are read"},
	{0, "GGUF", "a GGUF file: only safetensors and PyTorch checkpoints are read"},
	{0, "\x93NUMPY", "a NumPy array: only safetensors and PyTorch checkpoints are read"},
	{0, "\x89PNG\r\n", "a PNG picture"},
	{0, "\xff\xd8\xff", "a JPEG picture"},
	{0, "%PDF", "a PDF document"},
	{4, "ftyp", "a video"},
	{0, "\x1a\x45\xdf\xa3", "a video"},
}

// sniff says what a file is that is not what it should be, and what to do
// about it; "" when nothing is recognised.
func sniff(data []byte) string {
	for _, m := range magics {
		if len(data) < m.at || !bytes.HasPrefix(data[m.at:], []byte(m.prefix)) {
			continue
		}
		if m.what == "a zip archive" && looksLikeTorchZip(data) {
			return "a PyTorch checkpoint: run `v2v import`"
		}
		return m.what
	}
	if len(data) > 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5 {
		return "a Python pickle, not a PyTorch checkpoint"
	}
	head := data[:min(len(data), 512)]
	start := bytes.ToLower(bytes.TrimSpace(head))
	if bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html")) {
		return "an HTML page, not the weights: the download link led to a web page"
	}
	if bytes.HasPrefix(start, []byte("<?xml")) {
		return "an XML document, perhaps a server's error message: download it again"
	}
	if isText(head) {
		return "a text file"
	}
	return ""
}

// looksLikeTorchZip trusts the first entry's name: torch.save always begins
// with NAME/data.pkl.
func looksLikeTorchZip(data []byte) bool {
	if len(data) < 30 {
		return false
	}
	name := data[30:min(len(data), 30+int(le.Uint16(data[26:])))]
	return bytes.HasSuffix(name, []byte("/data.pkl"))
}

func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && len(head) >= utf8.UTFMax {
			return false
		}
		if r != utf8.RuneError && !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
		head = head[n:]
	}
	return true
}

// sniffed is err, or where the file is recognisably something else, that.
func sniffed(data []byte, err error) error {
	if what := sniff(data); what != "" {
		return errors.New("it is " + what)
	}
	return err
}
