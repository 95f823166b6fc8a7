package main

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/v2v/v2v"

// ladder is who may import whom, transitively. A new package gets a row.
var ladder = map[string]string{
	"video":                    "",
	"video/conformance":        "",
	"video/cvimg":              "video",
	"video/cvio":               "video",
	"video/ffio":               "video",
	"video/labelmap":           "video",
	"video/metric":             "video",
	"video/pose":               "video",
	"video/sheet":              "video",
	"flow":                     "video",
	"flow/cvflow":              "flow video",
	"jobs":                     "flow video",
	"jobs/queuetest":           "jobs flow video",
	"models/op":                "",
	"models/nn":                "models/op",
	"models/weights":           "",
	"models/engine":            "models/op",
	"models/engine/ref":        "models/engine models/op",
	"models/engine/cpu":        "models/engine models/op",
	"models/engine/cuda":       "models/engine models/op",
	"models/engine/devices":    "models/engine models/engine/ref models/engine/cpu models/engine/cuda models/op",
	"models/engine/enginetest": "models/engine models/engine/ref models/op",
	"models":                   "models/nn models/op models/engine models/weights flow video",
	"models/published":         "models models/nn models/op models/engine models/weights flow video",
	"models/train":             "models models/nn models/op models/engine models/weights flow video video/labelmap video/pose video/sheet",
	"cmd/v2v":                  "*",
}

// leaves are the packages that may use cgo, unsafe and gocv.
var leaves = []string{"video/cvio", "video/cvimg", "flow/cvflow", "models/engine/cpu", "models/engine/cuda"}

func TestLadder(t *testing.T) {
	for _, cgo := range []string{"0", "1"} {
		cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, module+"/...")
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			pkg := strings.TrimPrefix(words[0], module+"/")
			row, ok := ladder[pkg]
			if !ok {
				t.Errorf("package %s is not in the ladder: add its row", pkg)
			}
			for _, dep := range words[1:] {
				dep, ours := strings.CutPrefix(dep, module+"/")
				if ours && row != "*" && !slices.Contains(strings.Fields(row), dep) {
					t.Errorf("%s imports %s, which the ladder forbids (CGO_ENABLED=%s)", pkg, dep, cgo)
				}
			}
		}
	}
}

// source is a parsed file of the tree.
type source struct {
	path  string // below the module's root
	text  string
	file  *ast.File
	lines *token.FileSet
}

func (s source) dir() string { return path.Dir(s.path) }
func (s source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }

// imports lists the import paths of a file.
func (s source) imports() []string {
	var list []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		list = append(list, p)
	}
	return list
}

// tree parses every Go file of the module.
func tree(t *testing.T) []source {
	t.Helper()
	var all []source
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		lines := token.NewFileSet()
		file, err := parser.ParseFile(lines, p, text, parser.ParseComments)
		all = append(all, source{filepath.ToSlash(rel), string(text), file, lines})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

// TestWall: native code stays behind the leaves, in files that a build without
// cgo leaves out.
func TestWall(t *testing.T) {
	for _, s := range tree(t) {
		for _, imp := range s.imports() {
			native := imp == "C" || imp == "unsafe" || strings.HasPrefix(imp, "gocv.io/")
			if !native {
				continue
			}
			if !slices.Contains(leaves, s.dir()) {
				t.Errorf("%s imports %s outside of the leaves", s.path, imp)
			}
			if !needsCgo(s) {
				t.Errorf("%s imports %s without //go:build cgo", s.path, imp)
			}
		}
	}
}

// needsCgo reports whether a file is left out of a build without cgo.
func needsCgo(s source) bool {
	for line := range strings.Lines(s.text) {
		if !constraint.IsGoBuild(line) {
			continue
		}
		x, err := constraint.Parse(strings.TrimSpace(line))
		return err == nil && !x.Eval(func(tag string) bool { return tag != "cgo" })
	}
	return false
}

func TestBudgets(t *testing.T) {
	for _, s := range tree(t) {
		if n := strings.Count(s.text, "\n"); n > 400 {
			t.Errorf("%s has %d lines, the budget is 400", s.path, n)
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "types"}, s.file.Name.Name) {
			t.Errorf("%s: package %s says nothing", s.path, s.file.Name.Name)
		}
		for _, word := range []string{"TO" + "DO", "FIX" + "ME"} {
			if strings.Contains(s.text, word) {
				t.Errorf("%s leaves a %s behind", s.path, word)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			s.budget(t, n)
			return true
		})
	}
}

// budget checks one declaration.
func (s source) budget(t *testing.T, n ast.Node) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if l := s.lines.Position(n.End()).Line - s.lines.Position(n.Pos()).Line + 1; l > 60 {
			t.Errorf("%s: function %s has %d lines, the budget is 60", s.path, n.Name, l)
		}
	case *ast.TypeSpec:
		i, ok := n.Type.(*ast.InterfaceType)
		if ok && n.Name.IsExported() && i.Methods.NumFields() > 5 {
			t.Errorf("%s: interface %s has %d methods, the budget is 5", s.path, n.Name, i.Methods.NumFields())
		}
	}
}

// TestQuietLibraries: only cmd prints and exits.
func TestQuietLibraries(t *testing.T) {
	loud := []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Exit", "os.Stdout", "os.Stderr", "log.Fatal", "log.Print", "log.Printf"}
	for _, s := range tree(t) {
		if s.test() || strings.HasPrefix(s.path, "cmd/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(loud, x.Name+"."+sel.Sel.Name) {
					t.Errorf("%s: %s.%s in a library", s.lines.Position(n.Pos()), x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestPackagesAreDocumented: every package says what comes in and goes out.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range tree(t) {
		if !s.test() {
			documented[s.dir()] = documented[s.dir()] || s.file.Doc.Text() != ""
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}
