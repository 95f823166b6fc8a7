package jobs

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// Job is one clip to be converted. Its ID names it over all runs and machines.
type Job struct {
	ID   string `json:"id"`
	Item Item   `json:"item"`
}

// Queue hands jobs to workers. It is never the truth: what is done is decided
// by outputs and sidecars, so a lost queue is made again from the plan and a
// job delivered twice is found done. Package queuetest holds its conformance
// test.
type Queue interface {
	// Put adds a job. A job whose ID was put before is not added again.
	Put(ctx context.Context, j Job) error
	// Next waits for a job and lends it to the caller alone. It returns io.EOF
	// once the queue is closed and every job is done.
	Next(ctx context.Context) (Lease, error)
	// Close says that no more jobs will be put.
	Close() error
}

// Lease is a job lent to one worker, which settles it once.
type Lease interface {
	Job() Job
	// Attempt is 1 for the first delivery of the job.
	Attempt() int
	// Done says that the job is never to be delivered again, whether it ended
	// well or badly.
	Done(ctx context.Context) error
	// Retry gives the job back for any worker to take.
	Retry(ctx context.Context) error
}

// NewQueue makes a queue in memory, first in, first out.
func NewQueue() Queue {
	return &memory{seen: map[string]bool{}, changed: make(chan struct{})}
}

type memory struct {
	mu      sync.Mutex
	waiting []*lease
	lent    int
	seen    map[string]bool
	closed  bool
	changed chan struct{} // closed and replaced whenever Next may have an answer
}

type lease struct {
	queue   *memory
	job     Job
	attempt int
	settled bool
}

func (m *memory) Put(_ context.Context, j Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fmt.Errorf("put job %s: queue is closed", j.ID)
	}
	if m.seen[j.ID] {
		return nil
	}
	m.seen[j.ID] = true
	m.waiting = append(m.waiting, &lease{queue: m, job: j, attempt: 1})
	m.wake()
	return nil
}

func (m *memory) Next(ctx context.Context) (Lease, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.mu.Lock()
		if len(m.waiting) > 0 {
			l := m.waiting[0]
			m.waiting = m.waiting[1:]
			m.lent++
			m.mu.Unlock()
			return l, nil
		}
		if m.closed && m.lent == 0 {
			m.mu.Unlock()
			return nil, io.EOF
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.wake()
	return nil
}

func (m *memory) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (l *lease) Job() Job     { return l.job }
func (l *lease) Attempt() int { return l.attempt }

func (l *lease) Done(context.Context) error { return l.settle(false) }

func (l *lease) Retry(context.Context) error { return l.settle(true) }

func (l *lease) settle(again bool) error {
	m := l.queue
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.settled {
		return fmt.Errorf("settle job %s: it is settled already", l.job.ID)
	}
	l.settled = true
	m.lent--
	if again {
		m.waiting = append(m.waiting, &lease{queue: m, job: l.job, attempt: l.attempt + 1})
	}
	m.wake()
	return nil
}
