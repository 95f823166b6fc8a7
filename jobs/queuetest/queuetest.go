// Package queuetest holds the conformance test that every jobs.Queue passes.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/v2v/v2v/jobs"
)

// patience bounds waits for something that must happen.
const patience = 10 * time.Second

// Run tests the queues that open makes; each case gets an empty one of its own.
func Run(t *testing.T, open func(t *testing.T) jobs.Queue) {
	cases := []struct {
		name string
		test func(t *testing.T, ctx context.Context, q jobs.Queue)
	}{
		{"jobs come in order, once, and then the end", inOrder},
		{"a job put twice is one job", putTwice},
		{"a job given back comes again, counted", retry},
		{"the end waits for jobs that are lent", endWaits},
		{"waiting ends with its context", contextEnds},
		{"a closed queue takes no jobs", closed},
		{"a lease is settled once", settledOnce},
		{"many workers share the jobs", manyWorkers},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			c.test(t, ctx, open(t))
		})
	}
}

func put(t *testing.T, ctx context.Context, q jobs.Queue, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := q.Put(ctx, jobs.Job{ID: id, Item: jobs.Item{Input: "in/" + id, Rel: id}}); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t *testing.T, ctx context.Context, q jobs.Queue, id string, attempt int) jobs.Lease {
	t.Helper()
	l, err := q.Next(ctx)
	if err != nil {
		t.Fatalf("waiting for %s: %v", id, err)
	}
	if l.Job().ID != id || l.Attempt() != attempt {
		t.Fatalf("got %s, attempt %d; want %s, attempt %d", l.Job().ID, l.Attempt(), id, attempt)
	}
	if want := "in/" + id; l.Job().Item.Input != want {
		t.Fatalf("job %s carries input %q, want %q", id, l.Job().Item.Input, want)
	}
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, ctx context.Context, q jobs.Queue) {
	t.Helper()
	if l, err := q.Next(ctx); err != io.EOF {
		t.Fatalf("got %v, %v; want io.EOF", l, err)
	}
}

func inOrder(t *testing.T, ctx context.Context, q jobs.Queue) {
	put(t, ctx, q, "a", "b", "c")
	must(t, q.Close())
	for _, id := range []string{"a", "b", "c"} {
		must(t, next(t, ctx, q, id, 1).Done(ctx))
	}
	end(t, ctx, q)
	end(t, ctx, q)
}

func putTwice(t *testing.T, ctx context.Context, q jobs.Queue) {
	put(t, ctx, q, "a", "a")
	must(t, next(t, ctx, q, "a", 1).Done(ctx))
	put(t, ctx, q, "a")
	must(t, q.Close())
	end(t, ctx, q)
}

func retry(t *testing.T, ctx context.Context, q jobs.Queue) {
	put(t, ctx, q, "a")
	must(t, q.Close())
	must(t, next(t, ctx, q, "a", 1).Retry(ctx))
	must(t, next(t, ctx, q, "a", 2).Retry(ctx))
	must(t, next(t, ctx, q, "a", 3).Done(ctx))
	end(t, ctx, q)
}

func endWaits(t *testing.T, ctx context.Context, q jobs.Queue) {
	put(t, ctx, q, "a")
	must(t, q.Close())
	first := next(t, ctx, q, "a", 1)
	got := make(chan error, 1)
	go func() {
		l, err := q.Next(ctx)
		if err == nil {
			err = l.Done(ctx)
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Next answered %v while the only job was lent", err)
	case <-time.After(50 * time.Millisecond):
	}
	must(t, first.Retry(ctx))
	must(t, <-got)
	end(t, ctx, q)
}

func contextEnds(t *testing.T, ctx context.Context, q jobs.Queue) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := q.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's error", err)
	}
}

func closed(t *testing.T, ctx context.Context, q jobs.Queue) {
	must(t, q.Close())
	if err := q.Put(ctx, jobs.Job{ID: "a"}); err == nil {
		t.Fatal("a job was taken after Close")
	}
	end(t, ctx, q)
}

func settledOnce(t *testing.T, ctx context.Context, q jobs.Queue) {
	put(t, ctx, q, "a")
	must(t, q.Close())
	l := next(t, ctx, q, "a", 1)
	must(t, l.Done(ctx))
	if err := l.Retry(ctx); err == nil {
		t.Fatal("a job that was done could be given back")
	}
	end(t, ctx, q)
}

func manyWorkers(t *testing.T, ctx context.Context, q jobs.Queue) {
	const n = 100
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				l, err := q.Next(ctx)
				if err == io.EOF {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				settle := l.Done
				if l.Attempt() == 1 && len(l.Job().ID)%2 == 0 {
					settle = l.Retry
				} else {
					mu.Lock()
					got[l.Job().ID]++
					mu.Unlock()
				}
				if err := settle(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		put(t, ctx, q, fmt.Sprint("job", i))
	}
	must(t, q.Close())
	wg.Wait()
	if len(got) != n {
		t.Errorf("%d jobs were done, want %d", len(got), n)
	}
	for id, times := range got {
		if times != 1 {
			t.Errorf("%s was done %d times", id, times)
		}
	}
}
