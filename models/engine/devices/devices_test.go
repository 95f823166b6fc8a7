package devices

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestCardsOf(t *testing.T) {
	for name, want := range map[string][]int{
		"cuda:0": {0}, "cuda:0,cuda:1": {0, 1}, "cuda:3,cuda:1": {3, 1},
		"cuda:": nil, "cuda:-1": nil, "cuda:0,cuda:0": nil, "cuda:0,cpu": nil, "gpu": nil, "cuda:0,": nil, "cuda:x": nil,
	} {
		got, err := cardsOf(name)
		if (err != nil) != (want == nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
}

// TestNames: a command that computes on one device refuses a list, and one that
// no device has is refused with those that there are.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{"cuda:0,cuda:1": "only a batch", "gpu7": "none of auto, cpu, ref, cuda"} {
		d, err := Open(name, Options{})
		if d != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if _, err := Open("cuda:99", Options{}); !errors.Is(err, ErrCard) {
		t.Errorf("a card that is not there: %v", err)
	}
	all, err := OpenAll("ref", Options{})
	if err != nil || len(all) != 1 || all[0].Name() != "ref" {
		t.Errorf("ref: %v, %v", all, err)
	}
}

// TestList: every device is described, the cards first, in one line each.
func TestList(t *testing.T) {
	list := List()
	if n := len(list); n < 3 || !strings.HasPrefix(list[0].Name, "cuda") || list[n-2].Name != "cpu" || list[n-1].Name != "ref" {
		t.Fatalf("devices %+v", list)
	}
	for _, d := range list {
		if d.About == "" || strings.Contains(d.About, "\n") {
			t.Errorf("%s: %q", d.Name, d.About)
		}
	}
}
