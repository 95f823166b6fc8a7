package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tree makes files, and folders where the name ends in a slash, holding "3".
// A name "a -> b" makes a link.
func tree(t interface{ Fatal(...any) }, root string, names ...string) {
	for _, name := range names {
		name, to, link := strings.Cut(name, " -> ")
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(to, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte("3"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var planCases = []struct {
	name string
	tree string
	args string // "in" where empty
	o    PlanOptions
	want string // "input > output", or what the error says after "refused:"
}{
	{name: "empty folder", tree: "in/"},
	{name: "every kind of video", tree: "in/a.mp4 in/b.mkv in/c.MOV in/d.avi in/e.webm in/f.m4v in/g.mpg in/h.mpeg in/i.ts in/j.txt in/k",
		want: "in/a.mp4>a.mp4 in/b.mkv>b.mp4 in/c.MOV>c.mp4 in/d.avi>d.mp4 in/e.webm>e.mp4 in/f.m4v>f.mp4 in/g.mpg>g.mp4 in/h.mpeg>h.mp4 in/i.ts>i.mp4"},
	{name: "tree is kept, in natural order", tree: "in/s/clip10.mp4 in/s/clip9.mp4 in/a.mp4 in/t/u/b.mp4",
		want: "in/a.mp4>a.mp4 in/s/clip9.mp4>s/clip9.mp4 in/s/clip10.mp4>s/clip10.mp4 in/t/u/b.mp4>t/u/b.mp4"},
	{name: "hidden is skipped", tree: "in/.a.mp4 in/.h/b.mp4 in/c.mp4 in/.v2v/d.mp4", want: "in/c.mp4>c.mp4"},
	{name: "folders of stills", tree: "in/x/1.png in/x/2.PNG in/y/z/1.jpeg", want: "in/x>x.mp4 in/y/z>y/z.mp4"},
	{name: "a folder of stills as argument", tree: "shot/1.png", args: "shot", want: "shot>shot.mp4"},
	{name: "a picture beside a video is its cover", tree: "in/a.mp4 in/cover.jpg", want: "in/a.mp4>a.mp4"},
	{name: "dots in a folder of stills stay", tree: "in/v1.2/1.png", want: "in/v1.2>v1.2.mp4"},
	{name: "other extension", tree: "in/a.mp4", o: PlanOptions{Ext: "mkv"}, want: "in/a.mp4>a.mkv"},
	{name: "pictures out", tree: "in/a.mp4 in/b/1.png", o: PlanOptions{Folders: true}, want: "in/a.mp4>a in/b>b"},
	{name: "files by name", tree: "in/d/a.mp4 in/b.mkv", args: "in/d/a.mp4 in/b.mkv", want: "in/d/a.mp4>a.mp4 in/b.mkv>b.mp4"},
	{name: "a file of unknown kind is taken where it is named", tree: "in/a.raw", args: "in/a.raw", want: "in/a.raw>a.mp4"},
	{name: "glob of files", tree: "in/a1.mp4 in/a2.txt in/b.mp4", args: "in/a*", want: "in/a1.mp4>a1.mp4"},
	{name: "glob of folders keeps them", tree: "in/p/a.mp4 in/q/a.mp4", args: "in/*", want: "in/p/a.mp4>p/a.mp4 in/q/a.mp4>q/a.mp4"},
	{name: "glob in the middle", tree: "in/p/a.mp4 in/q/a.mp4 in/q/b.mp4", args: "in/*/a.mp4", want: "in/p/a.mp4>p/a.mp4 in/q/a.mp4>q/a.mp4"},
	{name: "a name with glob signs", tree: "in/a[1].mp4", args: "in/a[1].mp4", want: "in/a[1].mp4>a[1].mp4"},
	{name: "the same file twice", tree: "in/a.mp4", args: "in in/a.mp4 in/../in", want: "in/a.mp4>a.mp4"},
	{name: "links to files are clips, links to folders are not followed", tree: "else/a.mp4 in/b.mp4 in/l.mp4->../else/a.mp4 in/d->../else in/loop->.",
		want: "in/b.mp4>b.mp4 in/l.mp4>l.mp4"},
	{name: "a link to a folder as argument", tree: "else/a.mp4 in->else", want: "in/a.mp4>a.mp4"},
	{name: "output folder below the input", tree: "in/a.mp4 in/out/b.mp4 in/out/.v2v/clips/", o: PlanOptions{OutDir: "in/out"}, want: "in/a.mp4>a.mp4"},
	{name: "output folder below, by a link", tree: "in/a.mp4 in/real/b.mp4 o->in/real", o: PlanOptions{OutDir: "o"}, want: "in/a.mp4>a.mp4"},
	{name: "output folder in a glob", tree: "x/a.mp4 out/b.mp4", args: "*/*.mp4", want: "x/a.mp4>x/a.mp4"},
	{name: "output folder is input", tree: "in/a.avi", o: PlanOptions{OutDir: "in"}, want: "refused:in is both input and output folder"},
	{name: "no output folder", tree: "in/a.avi", o: PlanOptions{OutDir: "-"}, want: "refused:no output folder"},
	{name: "output is the input", tree: "in/a.mp4", args: "in/a.mp4", o: PlanOptions{OutDir: "in"}, want: "refused:in/a.mp4 would be written over an input"},
	{name: "output is another input", tree: "in/a.mp4 in/d/a.avi", args: "in/a.mp4 in/d", o: PlanOptions{OutDir: "in", Exclude: []string{"*.avi"}, Ext: "mp4"},
		want: "refused:in/a.mp4 would be written over an input"},
	{name: "two of one stem", tree: "in/a.avi in/a.mov", want: "refused:in/a.avi and in/a.mov would both be written to out/a.mp4"},
	{name: "two of one name", tree: "p/a.mp4 q/a.mp4", args: "p q", want: "refused:p/a.mp4 and q/a.mp4 would both be written to out/a.mp4"},
	{name: "stills and video of one name", tree: "in/a.mp4 in/a/1.png", want: "refused:in/a.mp4 and in/a would both"},
	{name: "outputs in each other", tree: "in/a.mp4 in/a/b.mp4", o: PlanOptions{Folders: true}, want: "refused:the output of in/a/b.mp4 (out/a/b) would lie inside that of in/a.mp4 (out/a)"},
	{name: "our own folder", tree: ".v2v/1.png", args: ".v2v", o: PlanOptions{Folders: true}, want: "refused:.v2v would be written into .v2v"},
	{name: "missing", tree: "in/a.mp4", args: "in/a.mp4 in/b.mp4", want: "in/a.mp4>a.mp4 in/b.mp4>b.mp4!"},
	{name: "broken link", tree: "in/a.mp4 in/b.mp4->c.mp4", want: "in/a.mp4>a.mp4 in/b.mp4>b.mp4!"},
	{name: "glob without matches", tree: "in/a.mp4", args: "in/b*"},
	{name: "bad glob", tree: "in/a.mp4", args: "in/b[*", want: "refused:in/b[*: syntax error in pattern"},
	{name: "include by name", tree: "in/a1.mp4 in/s/a2.mp4 in/s/b.mp4", o: PlanOptions{Include: []string{"a*"}}, want: "in/a1.mp4>a1.mp4 in/s/a2.mp4>s/a2.mp4"},
	{name: "include by path", tree: "in/s/a.mp4 in/s/t/a.mp4 in/a.mp4", o: PlanOptions{Include: []string{"s/**/a.mp4"}}, want: "in/s/a.mp4>s/a.mp4 in/s/t/a.mp4>s/t/a.mp4"},
	{name: "exclude a folder", tree: "in/old/a.mp4 in/s/old/b.mp4 in/s/c.mp4", o: PlanOptions{Exclude: []string{"old"}}, want: "in/s/c.mp4>s/c.mp4"},
	{name: "exclude wins", tree: "in/a.mp4 in/b.mp4", o: PlanOptions{Include: []string{"*"}, Exclude: []string{"b*"}}, want: "in/a.mp4>a.mp4"},
	{name: "excluding solves a conflict", tree: "in/a.avi in/a.mov", o: PlanOptions{Exclude: []string{"*.mov"}}, want: "in/a.avi>a.mp4"},
	{name: "bad pattern", tree: "in/a.mp4", o: PlanOptions{Exclude: []string{"s/[/x"}}, want: "refused:pattern"},
}

func TestPlan(t *testing.T) {
	for _, c := range planCases {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, name := range strings.Fields(c.tree) {
				tree(t, ".", strings.ReplaceAll(name, "->", " -> "))
			}
			c.o.Inputs = strings.Fields(c.args)
			if c.args == "" {
				c.o.Inputs = []string{"in"}
			}
			switch c.o.OutDir {
			case "":
				c.o.OutDir = "out"
			case "-":
				c.o.OutDir = ""
			}
			before := list(t, ".")
			got := describe(MakePlan(context.Background(), c.o))
			if why, ok := strings.CutPrefix(c.want, "refused:"); ok {
				if !strings.HasPrefix(got, "refused:"+why) {
					t.Errorf("got  %s\nwant refused:%s...", got, why)
				}
			} else if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if diff := cmp.Diff(before, list(t, ".")); diff != "" {
				t.Error("planning wrote something:", diff)
			}
		})
	}
}

func describe(p *Plan, err error) string {
	var usage *UsageError
	if errors.As(err, &usage) {
		return "refused:" + err.Error()
	}
	if err != nil {
		return err.Error()
	}
	var s []string
	for _, it := range p.Items {
		line := it.Input + ">" + it.Rel
		if it.Action == ActionFail {
			line += "!"
		}
		s = append(s, line)
	}
	return strings.Join(s, " ")
}

// list names everything below root but folders.
func list(t interface{ Fatal(...any) }, root string) []string {
	names := []string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(root, path)
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPlanOddNames(t *testing.T) {
	t.Chdir(t.TempDir())
	long := strings.Repeat("ü", 125) + ".mp4"
	names := []string{"-o.mp4", "a b.mp4", "q\"'`.mp4", "new\nline.mp4", "\xff\xfe.mp4", "日本語.mp4", "%d.mp4", long}
	for _, n := range names {
		tree(t, "in", n)
	}
	p, err := MakePlan(context.Background(), PlanOptions{Inputs: []string{"in"}, OutDir: "out"})
	must(t, err)
	if len(p.Items) != len(names) {
		t.Fatalf("%d of %d names found", len(p.Items), len(names))
	}
	ids := map[string]bool{}
	for _, it := range p.Items {
		if !slices.Contains(names, it.Rel) {
			t.Errorf("output %q is called after no input", it.Rel)
		}
		ids[clipID(it.Rel)] = true
	}
	if len(ids) != len(names) {
		t.Error("two clips share a sidecar")
	}
}

// TestPlanProperties plans random trees: every clip is planned once, outputs
// are distinct and inside OUTDIR, and neither the order of the arguments nor
// that of the folders matters.
func TestPlanProperties(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(root, string(rune('a'+n%26)), strings.Repeat("x", 1+n/26))
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "in", "out")
		part := rapid.SampledFrom([]string{"a", "b", "c1", "c10", "c9", ".h", "out"})
		ext := rapid.SampledFrom([]string{".mp4", ".avi", ".txt"})
		files := map[string]bool{}
		tree(t, in, "z/")
		for range rapid.IntRange(0, 12).Draw(t, "files") {
			folder := rapid.SliceOfN(part, 0, 2).Draw(t, "folder")
			name := filepath.Join(append(folder, part.Draw(t, "name")+ext.Draw(t, "ext"))...)
			if !files[name] {
				files[name] = true
				tree(t, in, name)
			}
		}
		o := PlanOptions{Inputs: []string{in}, OutDir: out}
		p, err := MakePlan(context.Background(), o)
		want, clash := wanted(in, files)
		if clash != (err != nil) {
			t.Fatalf("two outputs of one name: %v, but the plan says %v", clash, err)
		}
		if clash {
			return
		}
		rels := map[string]bool{}
		for i, it := range p.Items {
			if !want[it.Input] {
				t.Fatalf("%s is planned, but is no clip or is planned twice", it.Input)
			}
			delete(want, it.Input)
			rels[it.Rel] = true
			action := ActionRun
			if files[filepath.Join("out", it.Rel)] {
				action = ActionRedo // something stands there that we have no record of
			}
			if !within(out, it.Output) || it.Action != action {
				t.Fatalf("%+v", it)
			}
			if i > 0 && natural(p.Items[i-1].Rel, it.Rel) >= 0 {
				t.Fatalf("%s comes before %s", p.Items[i-1].Rel, it.Rel)
			}
		}
		if len(want) != 0 || len(rels) != len(p.Items) {
			t.Fatalf("not planned: %v; %d outputs for %d clips", want, len(rels), len(p.Items))
		}
	})
}

// wanted is the clips among the files of a random tree, and whether two of them
// have outputs of one name.
func wanted(in string, files map[string]bool) (want map[string]bool, clash bool) {
	want = map[string]bool{}
	stems := map[string]bool{}
	for name := range files {
		if strings.HasSuffix(name, ".txt") || strings.HasPrefix(name, "out/") || strings.Contains("/"+name, "/.h") {
			continue
		}
		want[filepath.Join(in, name)] = true
		stem := strings.TrimSuffix(name, filepath.Ext(name))
		clash = clash || stems[stem]
		stems[stem] = true
	}
	return want, clash
}

func TestNaturalIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a0-9/.]{0,6}`)
		a, b, c := name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "c")
		if natural(a, b) != -natural(b, a) || (natural(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q: %d, %d", a, b, natural(a, b), natural(b, a))
		}
		if natural(a, b) < 0 && natural(b, c) < 0 && natural(a, c) >= 0 {
			t.Fatalf("%q < %q < %q, but not %q < %q", a, b, c, a, c)
		}
	})
	want := []string{"", "1", "01", "2", "10", "a", "a1", "a1b", "a2", "a10", "a10b2", "a10b10", "b"}
	got := slices.Clone(want)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	slices.SortFunc(got, natural)
	want[1], want[2] = "01", "1" // equal in number, so by their bytes
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
