package op

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f(0) .. f(n-1) from as many goroutines as there are
// processors and returns when all calls have.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
