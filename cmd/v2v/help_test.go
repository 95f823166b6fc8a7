package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// TestHelpFitsATerminal: no command's help is wider than 80 columns, and no text
// of a flag breaks lines itself, which would be broken again where it is wrapped.
func TestHelpFitsATerminal(t *testing.T) {
	seen := 0
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			look(sub)
		}
		if strings.HasPrefix(c.CommandPath(), "v2v completion") {
			return // cobra's own
		}
		seen++
		var b bytes.Buffer
		c.SetOut(&b)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s --help: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for line := range strings.Lines(c.LocalFlags().FlagUsagesWrapped(1 << 20)) {
			if !strings.HasPrefix(strings.TrimSpace(line), "-") {
				t.Errorf("%s --help: the text of a flag breaks before %s", c.CommandPath(), line)
			}
		}
	}
	root := newRoot(newApp(&bytes.Buffer{}, &bytes.Buffer{}))
	look(root)
	if seen < 15 {
		t.Errorf("%d commands", seen)
	}
}
