package train

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

func TestStoreSpills(t *testing.T) {
	for _, limit := range []int64{0, 7, 8, 9, 1000} {
		s := store{limit: limit, dir: t.TempDir()}
		for i := range 6 {
			if n, err := s.add(bytes.Repeat([]byte{byte(i)}, i)); err != nil || n != i {
				t.Fatal(n, err)
			}
		}
		if spilt := s.file != nil; spilt != (limit < 15) {
			t.Errorf("limit %d: in a file: %v", limit, spilt)
		}
		for i := range 6 {
			if b, err := s.get(i, nil); err != nil || !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, i)) {
				t.Errorf("limit %d: slice %d is %v, %v", limit, i, b, err)
			}
		}
		if err := s.drop(); err != nil {
			t.Error(err)
		}
	}
	s := store{dir: filepath.Join(t.TempDir(), "none")}
	if _, err := s.add([]byte{1}); err == nil || !strings.Contains(err.Error(), "spool to a temporary file") {
		t.Error(err)
	}
}

// TestPrefetchEnds: the goroutine ends by close at any moment, and tells the
// error that ended it; TestMain looks for what is left.
func TestPrefetchEnds(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	w := drawing{seed: 3, batch: 2, frames: 3}
	for asked := range 4 {
		p := startPrefetch(t.Context(), d, w, 10)
		for k := range asked {
			b, err := p.next(t.Context())
			if err != nil || len(b) != 2 {
				t.Fatal(b, err)
			}
			want, err := d.Sample(t.Context(), uint64(10+2*k+1), 3, 3)
			if err != nil || b[1].Clip != want.Clip || b[1].Start != want.Start || !bytes.Equal(b[1].A[0].Pix, want.A[0].Pix) {
				t.Errorf("batch %d holds another sample", k)
			}
		}
		p.close()
	}
	p := startPrefetch(t.Context(), d, drawing{frames: 99, batch: 1}, 0)
	if _, err := p.next(t.Context()); err == nil || !strings.Contains(err.Error(), "99 frames") {
		t.Error(err)
	}
	p.close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	p = startPrefetch(t.Context(), openData(t, filepath.Join(dir, "data"), DataOptions{Flow: stuckFlow{}}), w, 0)
	if _, err := p.next(ctx); !errors.Is(err, why) {
		t.Error(err)
	}
	p.close()
}

// stuckFlow ends when it is told to.
type stuckFlow struct{}

func (stuckFlow) Estimate(ctx context.Context, _, _ *video.Frame) (*flow.Field, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
