package jobs_test

import (
	"testing"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/jobs/queuetest"
)

func TestMemoryQueue(t *testing.T) {
	queuetest.Run(t, func(*testing.T) jobs.Queue { return jobs.NewQueue() })
}
