package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

const (
	fakeW, fakeH = 6, 4
	never        = -1
)

var errFake = errors.New("fake trouble")

// fakeReader is a clip of n frames, each filled with its number.
type fakeReader struct {
	n, at    int
	end      error // instead of io.EOF after the last frame
	closeErr error
	panicAt  int
	block    bool // wait for ctx after the last frame
	pool     *video.Pool
	closed   int
	most     int // frames of the pool lent at once
}

func newFakeReader(n int) *fakeReader {
	return &fakeReader{n: n, panicAt: never, pool: video.NewPool(fakeW, fakeH, 64)}
}

func (r *fakeReader) Info() video.Info {
	info := video.Info{Width: fakeW, Height: fakeH, TimeBase: video.Rational{Num: 1, Den: 250}, Rate: video.Rational{Num: 25, Den: 1}}
	for i := range r.n {
		info.Times = append(info.Times, int64(10*i))
	}
	info.Duration = time.Duration(r.n) * 40 * time.Millisecond
	return info
}

func (r *fakeReader) Next(ctx context.Context) (*video.Frame, error) {
	if r.at == r.panicAt {
		panic("reader has a bug")
	}
	if r.at >= r.n {
		if r.block {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if r.end != nil {
			return nil, r.end
		}
		return nil, io.EOF
	}
	f, err := r.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	r.most = max(r.most, r.pool.Live())
	for i := range f.Pix {
		f.Pix[i] = byte(r.at)
	}
	f.PTS = int64(10 * r.at)
	r.at++
	return f, nil
}

func (r *fakeReader) Close() error { r.closed++; return r.closeErr }

// fakeGenerator adds to each frame what it has seen of the clip before.
type fakeGenerator struct {
	startErr, err   error
	failAt, panicAt int
	slow            time.Duration
	sum             byte
	n, started      int
	thread          int // every call must come from it
	closed          atomic.Int32
	wrongThread     bool
}

func newFakeGenerator() *fakeGenerator { return &fakeGenerator{failAt: never, panicAt: never} }

func (g *fakeGenerator) check() {
	tid := syscall.Gettid()
	if g.thread != 0 && g.thread != tid {
		g.wrongThread = true
	}
	g.thread = tid
}

func (g *fakeGenerator) Start(_ context.Context, info video.Info) (int, int, error) {
	g.check()
	g.sum, g.n = 0, 0
	g.started++
	return 2 * info.Width, 2 * info.Height, g.startErr
}

func (g *fakeGenerator) Generate(ctx context.Context, src, dst *video.Frame) error {
	g.check()
	if g.n == g.panicAt {
		panic("generator has a bug")
	}
	if g.n == g.failAt {
		return errFake
	}
	g.n++
	if g.slow > 0 {
		select {
		case <-time.After(g.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.sum = 3*g.sum + src.Pix[0] + 1
	for i := range dst.Pix {
		dst.Pix[i] = g.sum
	}
	return nil
}

func (g *fakeGenerator) Close() error { g.check(); g.closed.Add(1); return nil }

// fakeFlowGenerator notes the flow it is given.
type fakeFlowGenerator struct {
	*fakeGenerator
	flows []*flow.Field
}

func (g *fakeFlowGenerator) GenerateFlow(ctx context.Context, src, dst *video.Frame, back *flow.Field) error {
	g.flows = append(g.flows, back)
	return g.Generate(ctx, src, dst)
}

// fakeFlow measures the difference of the frames' first bytes.
type fakeFlow struct{ failAt, n int }

func (f *fakeFlow) Estimate(_ context.Context, from, to *video.Frame) (*flow.Field, error) {
	f.n++
	if f.n == f.failAt {
		return nil, errFake
	}
	out := flow.NewField(from.W, from.H)
	out.U[0] = float32(from.Pix[0]) - float32(to.Pix[0])
	return out, nil
}

// fakeWriter keeps what it is given.
type fakeWriter struct {
	failAt, panicAt     int
	commitErr, closeErr error
	pts                 []int64
	values              []byte
	frames              map[*video.Frame]bool
	committed           bool
	closed              int
}

func newFakeWriter() *fakeWriter {
	return &fakeWriter{failAt: never, panicAt: never, frames: map[*video.Frame]bool{}}
}

func (w *fakeWriter) Write(_ context.Context, f *video.Frame) error {
	switch len(w.pts) {
	case w.panicAt:
		panic("writer has a bug")
	case w.failAt:
		return errFake
	}
	w.pts = append(w.pts, f.PTS)
	w.values = append(w.values, f.Pix[len(f.Pix)-1])
	w.frames[f] = true
	return nil
}

func (w *fakeWriter) Commit(context.Context) error {
	w.committed = w.commitErr == nil
	return w.commitErr
}

func (w *fakeWriter) Close() error { w.closed++; return w.closeErr }

// A file of the fake format is one line of words: a number of frames, and
// "damaged", "panic" or "garbage".
func openFake(_ context.Context, path string) (video.Reader, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		entries, err := os.ReadDir(path)
		return newFakeReader(len(entries)), err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := newFakeReader(0)
	for _, word := range strings.Fields(string(data)) {
		switch word {
		case "damaged":
			r.end = fmt.Errorf("broke off: %w", video.ErrDamaged)
		case "panic":
			r.panicAt = 1
		default:
			if r.n, err = strconv.Atoi(word); err != nil {
				return nil, fmt.Errorf("%s: not a clip", path)
			}
		}
	}
	return r, nil
}

// fileWriter writes one line a frame and moves the whole into place.
type fileWriter struct {
	path string
	part *os.File
	buf  *bufio.Writer
}

func newFileWriter(_ context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error) {
	f, err := os.Create(filepath.Join(partDir, "part"+filepath.Ext(path)))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(f, "%dx%d of %d\n", w, h, info.Frames())
	return &fileWriter{path, f, bufio.NewWriterSize(f, 16)}, nil
}

func (w *fileWriter) Write(_ context.Context, f *video.Frame) error {
	_, err := fmt.Fprintln(w.buf, f.PTS, f.Pix[0])
	return err
}

func (w *fileWriter) Commit(context.Context) error {
	if err := w.buf.Flush(); err != nil {
		return err
	}
	return os.Rename(w.part.Name(), w.path)
}

func (w *fileWriter) Close() error { return w.part.Close() }

// fakeOutput is what the fakes make of a file with n frames.
func fakeOutput(n int) string {
	s := fmt.Sprintf("%dx%d of %d\n", 2*fakeW, 2*fakeH, n)
	sum := byte(0)
	for i := range n {
		sum = 3*sum + byte(i) + 1
		s += fmt.Sprintln(10*i, sum)
	}
	return s
}
