package op_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

type shapes = []tensor.Shape

// specs has every operator once, with shapes that it takes, what it makes of
// them, its multiply-adds, and shapes that it must refuse.
var specs = []struct {
	spec   op.Spec
	in     shapes
	out    tensor.Shape
	macs   int64
	refuse []shapes
}{
	{op.Act{Kind: op.LeakyReLU, Slope: .2}, shapes{{2, 3}}, tensor.Shape{2, 3}, 0, []shapes{{}, {{2, 0}}, {{2}, {2}}}},
	{op.ActGrad{}, shapes{{2, 3}, {2, 3}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {3, 2}}}},
	{op.AdamM{Beta: .5}, shapes{{7}, {7}}, tensor.Shape{7}, 0, []shapes{{{7}, {6}}}},
	{op.AdamV{Beta: .5}, shapes{{7}, {7}}, tensor.Shape{7}, 0, []shapes{{{7}, {6}}}},
	{op.AdamP{Eps: 1}, shapes{{7}, {7}, {7}, {2}}, tensor.Shape{7}, 0, []shapes{{{7}, {7}, {7}, {3}}, {{7}, {7}, {6}, {2}}}},
	{op.Add{}, shapes{{2, 3}, {2, 3}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {2, 1}}, {{1}, {}}}},
	{op.Sub{}, shapes{{2, 3}, {2, 3}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {2, 1}}}},
	{op.Mul{}, shapes{{2, 3, 4, 5}, {2, 1, 4, 5}}, tensor.Shape{2, 3, 4, 5}, 0,
		[]shapes{{{2, 3, 4, 5}, {1, 1, 4, 5}}, {{2, 1, 4, 5}, {2, 3, 4, 5}}, {{2, 3}, {2, 1}}}},
	{op.MulSum{}, shapes{{2, 3, 4, 5}, {2, 3, 4, 5}}, tensor.Shape{2, 1, 4, 5}, 0, []shapes{{{2, 3}, {2, 3}}}},
	{op.Scale{By: 1}, shapes{{}}, tensor.Shape{}, 0, []shapes{{}}},
	{op.Detach{}, shapes{{2, 3}}, tensor.Shape{2, 3}, 0, []shapes{{}}},
	{op.Blend{}, shapes{{2, 3, 4, 5}, {2, 3, 4, 5}, {2, 1, 4, 5}}, tensor.Shape{2, 3, 4, 5}, 0,
		[]shapes{{{2, 3, 4, 5}, {2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {2, 3, 4, 4}, {2, 1, 4, 5}}}},
	{op.FromBytes{OutH: 8, OutW: 9, Luma: true}, shapes{{2, 7, 9, 3}}, tensor.Shape{2, 1, 8, 9}, 0,
		[]shapes{{{2, 7, 9, 1}}, {{2, 9, 9, 3}}, {{2, 8, 10, 3}}}},
	{op.OneHot{C: 5, OutH: 8, OutW: 9}, shapes{{2, 7, 9, 3}}, tensor.Shape{2, 5, 8, 9}, 0,
		[]shapes{{{2, 7, 9, 1}}, {{2, 9, 9, 3}}, {{2, 8, 10, 3}}, {{7, 9, 3}}}},
	{op.Edges{OutH: 8, OutW: 9}, shapes{{2, 7, 9, 3}}, tensor.Shape{2, 1, 8, 9}, 0,
		[]shapes{{{2, 7, 9, 1}}, {{2, 9, 9, 3}}, {{2, 8, 10, 3}}, {{2, 7, 9, 3}, {2, 7, 9, 3}}}},
	{op.InstanceMean{}, shapes{{2, 5, 7, 9}, {2, 3, 7, 9}}, tensor.Shape{2, 5, 7, 9}, 0,
		[]shapes{{{2, 5, 7, 9}, {2, 1, 7, 9}}, {{2, 5, 7, 9}, {1, 3, 7, 9}}, {{2, 5, 7, 9}, {2, 3, 9, 7}}, {{2, 5, 7, 9}}}},
	{op.ToBytes{OutH: 4, OutW: 5}, shapes{{2, 3, 4, 6}}, tensor.Shape{2, 4, 5, 3}, 0,
		[]shapes{{{2, 1, 4, 6}}, {{2, 3, 3, 6}}, {{2, 3, 4, 4}}}},
	{op.Conv{Stride: 2, Pad: 1, Bias: true}, shapes{{2, 3, 7, 6}, {4, 3, 3, 3}, {4}}, tensor.Shape{2, 4, 4, 3}, 2 * 4 * 4 * 3 * 27,
		[]shapes{{{2, 3, 7, 6}, {4, 3, 3, 3}}, {{2, 2, 7, 6}, {4, 3, 3, 3}, {4}}, {{2, 3, 7, 6}, {4, 3, 3, 3}, {3}}, {{2, 3, 1, 0}, {4, 3, 3, 3}, {4}}, {{2, 3, 7, 6}, {4, 3, 10, 3}, {4}}}},
	{op.Conv{Stride: 1, Pad: 3, Reflect: true}, shapes{{1, 3, 4, 5}, {2, 3, 7, 7}}, tensor.Shape{1, 2, 4, 5}, 2 * 4 * 5 * 3 * 49,
		[]shapes{{{1, 3, 3, 5}, {2, 3, 7, 7}}}},
	{op.ConvGradX{Stride: 2, Pad: 1, H: 7, W: 6}, shapes{{4, 3, 3, 3}, {2, 4, 4, 3}}, tensor.Shape{2, 3, 7, 6}, 2 * 4 * 4 * 3 * 27,
		[]shapes{{{4, 3, 3, 3}, {2, 4, 3, 3}}, {{4, 3, 3, 3}, {2, 3, 4, 3}}}},
	{op.ConvGradW{Stride: 2, Pad: 1, KH: 3, KW: 3}, shapes{{2, 3, 7, 6}, {2, 4, 4, 3}}, tensor.Shape{4, 3, 3, 3}, 2 * 4 * 4 * 3 * 27,
		[]shapes{{{2, 3, 7, 6}, {1, 4, 4, 3}}, {{2, 3, 7, 6}, {2, 4, 4, 4}}}},
	{op.ConvT{Stride: 2, Pad: 1, OutPad: 1, Bias: true}, shapes{{2, 3, 4, 5}, {3, 4, 3, 3}, {4}}, tensor.Shape{2, 4, 8, 10}, 2 * 3 * 4 * 5 * 4 * 9,
		[]shapes{{{2, 4, 4, 5}, {3, 4, 3, 3}, {4}}, {{2, 3, 4, 5}, {3, 4, 3, 3}, {3}}}},
	{op.ConvT{Stride: 1, Pad: 2}, shapes{{1, 1, 3, 3}, {1, 1, 3, 3}}, tensor.Shape{1, 1, 1, 1}, 81,
		[]shapes{{{1, 1, 2, 3}, {1, 1, 3, 3}}}},
	{op.ChannelSum{}, shapes{{2, 3, 4, 5}}, tensor.Shape{3}, 0, []shapes{{{2, 3}}}},
	{op.L1{}, shapes{{2, 3}, {2, 3}}, tensor.Shape{}, 0, []shapes{{{2, 3}, {3, 2}}}},
	{op.L1Grad{}, shapes{{2, 3}, {2, 3}, {}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {3, 2}, {}}, {{2, 3}, {2, 3}, {1}}}},
	{op.MSE{Target: 1}, shapes{{2, 3}}, tensor.Shape{}, 0, []shapes{{}, {{0}}}},
	{op.MSEGrad{Target: 1}, shapes{{2, 3}, {}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {1}}}},
	{op.Mean{}, shapes{{2, 3}}, tensor.Shape{}, 0, []shapes{{{2, 3}, {2, 3}}}},
	{op.MeanGrad{}, shapes{{2, 3}, {}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {2, 3}}}},
	{op.Combine{N: 2}, shapes{{}, {}}, tensor.Shape{}, 0, []shapes{{{}}, {{}, {1}}}},
	{op.Moments{Batch: true, Eps: 1}, shapes{{2, 3, 4, 5}}, tensor.Shape{1, 3, 2}, 0, []shapes{{{2, 3, 4}}}},
	{op.StoredMoments{Eps: 1}, shapes{{3}, {3}}, tensor.Shape{1, 3, 2}, 0, []shapes{{{3}, {4}}, {{3}}, {{3, 1}, {3, 1}}}},
	{op.Normalize{Affine: true}, shapes{{2, 3, 4, 5}, {2, 3, 2}, {3}, {3}}, tensor.Shape{2, 3, 4, 5}, 0,
		[]shapes{{{2, 3, 4, 5}, {1, 3, 2}, {3}, {3}}, {{2, 3, 4, 5}, {2, 3, 2}, {2}, {3}}, {{2, 3, 4, 5}, {2, 3, 2}, {3}, {4}}}},
	{op.NormSums{Batch: true}, shapes{{2, 3, 4, 5}, {1, 3, 2}, {2, 3, 4, 5}}, tensor.Shape{1, 3, 2}, 0,
		[]shapes{{{2, 3, 4, 5}, {2, 3, 2}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {1, 3, 2}, {2, 3, 4, 4}}}},
	{op.NormGradX{Affine: true}, shapes{{2, 3, 4, 5}, {2, 3, 2}, {2, 3, 4, 5}, {2, 3, 2}, {3}}, tensor.Shape{2, 3, 4, 5}, 0,
		[]shapes{{{2, 3, 4, 5}, {2, 3, 2}, {2, 3, 4, 5}, {2, 3, 2}, {2}}, {{2, 3, 4, 5}, {2, 3, 2}, {2, 3, 4, 5}, {1, 3, 2}, {3}}}},
	{op.SumsPick{Index: 1}, shapes{{2, 3, 2}}, tensor.Shape{3}, 0, []shapes{{{2, 3, 3}}}},
	{op.AvgPool{K: 3, Stride: 2, Pad: 1}, shapes{{2, 3, 6, 7}}, tensor.Shape{2, 3, 3, 4}, 0, []shapes{{{2, 3, 6}}}},
	{op.AvgPoolGrad{K: 3, Stride: 2, Pad: 1, H: 6, W: 7}, shapes{{2, 3, 3, 4}}, tensor.Shape{2, 3, 6, 7}, 0, []shapes{{{2, 3, 4, 4}}}},
	{op.Resize{H: 4, W: 5}, shapes{{2, 3, 6, 7}}, tensor.Shape{2, 3, 4, 5}, 0, []shapes{{{2, 3}}}},
	{op.ResizeGrad{H: 6, W: 7, Bilinear: true}, shapes{{2, 3, 4, 5}}, tensor.Shape{2, 3, 6, 7}, 0, []shapes{{{2, 3}}}},
	{op.Concat{Axis: 1, N: 2}, shapes{{2, 3, 4}, {2, 1, 4}}, tensor.Shape{2, 4, 4}, 0, []shapes{{{2, 3, 4}, {1, 3, 4}}, {{2, 3, 4}}, {{2}, {2}}, {{2, 3}, {2, 3, 4}}}},
	{op.Slice{Axis: 1, From: 1, To: 3}, shapes{{2, 3, 4}}, tensor.Shape{2, 2, 4}, 0, []shapes{{{2, 2, 4}}, {{2}}}},
	{op.Embed{Axis: 1, From: 1, Total: 4}, shapes{{2, 3, 4}}, tensor.Shape{2, 4, 4}, 0, []shapes{{{2, 4, 4}}, {{2}}}},
	{op.Warp{}, shapes{{2, 3, 4, 5}, {2, 2, 4, 5}}, tensor.Shape{2, 3, 4, 5}, 0, []shapes{{{2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {1, 2, 4, 5}}}},
	{op.WarpGradImage{}, shapes{{2, 2, 4, 5}, {2, 3, 4, 5}}, tensor.Shape{2, 3, 4, 5}, 0, []shapes{{{2, 3, 4, 5}, {2, 3, 4, 5}}}},
	{op.WarpGradFlow{}, shapes{{2, 3, 4, 5}, {2, 2, 4, 5}, {2, 3, 4, 5}}, tensor.Shape{2, 2, 4, 5}, 0, []shapes{{{2, 3, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}}}},
}

func TestShapes(t *testing.T) {
	for _, s := range specs {
		t.Run(fmt.Sprintf("%T", s.spec), func(t *testing.T) {
			got, err := s.spec.Infer(s.in)
			if err != nil || !cmp.Equal([]int(got), []int(s.out)) {
				t.Fatalf("%+v of %v: %v, %v, want %v", s.spec, s.in, got, err, s.out)
			}
			if len(s.in) != s.spec.Arity() {
				t.Errorf("arity %d, takes %d", s.spec.Arity(), len(s.in))
			}
			if w := op.Work(s.spec, s.in); w != 2*s.macs {
				t.Errorf("work %d, want %d", w, 2*s.macs)
			}
			for _, in := range s.refuse {
				_, err := s.spec.Infer(in)
				if !errors.Is(err, op.ErrShape) {
					t.Errorf("%v: error %v, want a shape error", in, err)
				}
			}
		})
	}
}

// TestGraphTypes puts every operator into a graph: type inference must agree
// with the shape.
func TestGraphTypes(t *testing.T) {
	for _, s := range specs {
		g := G.NewGraph()
		var in G.Nodes
		for i, shape := range s.in {
			name := fmt.Sprint("in", i)
			if op.BytesIn(s.spec) {
				in = append(in, G.NewTensor(g, tensor.Uint8, len(shape), G.WithShape(shape...), G.WithName(name)))
			} else {
				in = append(in, input(g, name, shape))
			}
		}
		n, err := op.Apply(s.spec, in...)
		if err != nil {
			t.Errorf("%+v: %v", s.spec, err)
			continue
		}
		wantType := tensor.Float32
		if op.BytesOut(s.spec) {
			wantType = tensor.Uint8
		}
		if n.Dims() != len(s.out) || n.Dtype() != wantType || (n.Type() == G.Float32) != (len(s.out) == 0) {
			t.Errorf("%+v: type %v for shape %v", s.spec, n.Type(), n.Shape())
		}
	}
}

func TestParametersRefused(t *testing.T) {
	picture := tensor.Shape{1, 3, 8, 8}
	for _, c := range []struct {
		spec op.Spec
		in   shapes
	}{
		{op.Act{Kind: op.Sigmoid + 1}, shapes{{1}}},
		{op.Act{Kind: op.LeakyReLU, Slope: -1}, shapes{{1}}},
		{op.Conv{}, shapes{picture, {1, 3, 3, 3}}},
		{op.Conv{Stride: 1, Pad: -1}, shapes{picture, {1, 3, 3, 3}}},
		{op.ConvT{Stride: 2, OutPad: 2}, shapes{picture, {3, 1, 3, 3}}},
		{op.ConvGradX{Stride: 1}, shapes{{1, 3, 3, 3}, {1, 1, 1, 1}}},
		{op.ConvGradW{Stride: 1}, shapes{picture, {1, 1, 8, 8}}},
		{op.AvgPool{K: 3, Stride: 2, Pad: 2}, shapes{picture}},
		{op.AvgPool{K: 9, Stride: 2}, shapes{picture}},
		{op.Resize{W: 3}, shapes{picture}},
		{op.Slice{Axis: 1, From: 2, To: 2}, shapes{picture}},
		{op.Slice{Axis: -1, To: 1}, shapes{picture}},
		{op.Embed{Axis: 1, From: -1, Total: 9}, shapes{picture}},
		{op.Concat{}, shapes{}},
		{op.Combine{}, shapes{}},
		{op.Combine{N: op.MaxTerms + 1}, make(shapes, op.MaxTerms+1)},
		{op.SumsPick{Index: 2}, shapes{{1, 1, 2}}},
		{op.ToBytes{OutW: 1}, shapes{picture}},
		{op.OneHot{OutH: 8, OutW: 8}, shapes{{1, 8, 8, 3}}},
	} {
		if _, err := c.spec.Infer(c.in); !errors.Is(err, op.ErrShape) {
			t.Errorf("%+v of %v: error %v, want a shape error", c.spec, c.in, err)
		}
	}
}

// TestNoOperatorIsMissing reads the package's source: every type with an Infer
// is in the table of shapes, and every Differ in that of gradients.
func TestNoOperatorIsMissing(t *testing.T) {
	var declared, listed, differ, checked []string
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(".")) {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			f := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0))
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Infer" {
					declared = append(declared, "op."+fn.Recv.List[0].Type.(*ast.Ident).Name)
				}
			}
		}
	}
	for _, s := range specs {
		listed = append(listed, fmt.Sprintf("%T", s.spec))
		if _, ok := s.spec.(op.Differ); ok {
			differ = append(differ, fmt.Sprintf("%T", s.spec))
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, instantiate := range differentiable {
		inst := instantiate(r)
		g := G.NewGraph()
		var in G.Nodes
		for i, v := range inst.in {
			in = append(in, input(g, fmt.Sprint(i), v.Shape))
		}
		checked = append(checked, fmt.Sprintf("%T", must[*G.Node](t)(inst.build(in)).Op().(op.Op).Spec))
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{{"shapes", listed, declared}, {"gradients", checked, differ}} {
		slices.Sort(c.got)
		slices.Sort(c.want)
		if d := cmp.Diff(slices.Compact(c.want), slices.Compact(c.got)); d != "" {
			t.Errorf("%s: operators wanted and had:\n%s", c.what, d)
		}
	}
}

// TestHashHoldsEveryField changes each field of each operator.
func TestHashHoldsEveryField(t *testing.T) {
	for _, s := range specs {
		before := op.Op{Spec: s.spec}.Hashcode()
		v := reflect.New(reflect.TypeOf(s.spec)).Elem()
		var change func(path string, f reflect.Value)
		change = func(path string, f reflect.Value) {
			switch f.Kind() {
			case reflect.Struct:
				for i := range f.NumField() {
					change(path+"."+f.Type().Field(i).Name, f.Field(i))
				}
				return
			case reflect.Array:
				for i := range f.Len() {
					change(fmt.Sprintf("%s[%d]", path, i), f.Index(i))
				}
				return
			case reflect.Bool:
				f.SetBool(!f.Bool())
			case reflect.Int:
				f.SetInt(f.Int() + 1)
			case reflect.Uint8:
				f.SetUint(f.Uint() + 1)
			case reflect.Float32:
				f.SetFloat(f.Float() + 1e-6)
			default:
				t.Fatalf("%s has kind %v, which this test does not know", path, f.Kind())
			}
			if (op.Op{Spec: v.Interface().(op.Spec)}).Hashcode() == before {
				t.Errorf("%s does not change the hash", path)
			}
			v.Set(reflect.ValueOf(s.spec))
		}
		v.Set(reflect.ValueOf(s.spec))
		change(fmt.Sprintf("%T", s.spec), v)
	}
}
