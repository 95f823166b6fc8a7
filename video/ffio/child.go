package ffio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrMissing is wrapped when the ffmpeg or ffprobe program is not on PATH.
var ErrMissing = errors.New("not on PATH: install Debian's package ffmpeg")

// Available says whether both programs can be found.
func Available() error {
	for _, name := range []string{"ffprobe", "ffmpeg"} {
		if _, err := lookPath(name); err != nil {
			return err
		}
	}
	return nil
}

func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is %w", name, ErrMissing)
	}
	return path, nil
}

// pipeSize replaces the kernel's 64 KiB, which cuts a frame into many switches
// between the two processes; 1 MiB is what an ordinary user may ask for.
const pipeSize = 1 << 20

// child is one running ffmpeg or ffprobe.
type child struct {
	cmd    *exec.Cmd
	stderr stderrLog
	gone   chan struct{} // closed when the process has been reaped
	err    error         // its exit, once gone is closed

	mu     sync.Mutex
	reaped bool
}

// files are the ends of pipes that the child inherits; the parent's copies are
// closed whatever happens.
type files struct {
	stdin, stdout, extra *os.File // extra is the child's descriptor 3
}

func (f files) close() {
	for _, file := range []*os.File{f.stdin, f.stdout, f.extra} {
		if file != nil {
			file.Close()
		}
	}
}

func startChild(name string, args []string, f files) (*child, error) {
	defer f.close()
	path, err := lookPath(name)
	if err != nil {
		return nil, err
	}
	c := &child{gone: make(chan struct{})}
	c.cmd = exec.Command(path, args...)
	c.cmd.Stderr = &c.stderr
	if f.stdin != nil {
		c.cmd.Stdin = f.stdin
	}
	if f.stdout != nil {
		c.cmd.Stdout = f.stdout
	}
	if f.extra != nil {
		c.cmd.ExtraFiles = []*os.File{f.extra}
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that forks. A goroutine of our
		// own never runs on a thread that its caller has locked and will end.
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			c.mu.Lock()
			c.reaped = true
			c.mu.Unlock()
		}
		close(c.gone)
	}()
	if err := <-started; err != nil {
		<-c.gone
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// kill ends the child and whatever it started; it returns at once.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// wait returns the child's exit. When ctx ends first, the child is killed.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.gone:
	case <-ctx.Done():
		c.kill()
		<-c.gone
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.err
}

// failure puts a child's exit and its last words into one error.
func (c *child) failure(err error) error {
	words := c.stderr.cause()
	if words == "" {
		return err
	}
	if c.stderr.full() {
		return fmt.Errorf("%w: %s", syscall.ENOSPC, words)
	}
	return errors.New(words)
}

// pipe makes a wide pipe.
func pipe() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize) // a narrow pipe works too
	return r, w, nil
}
