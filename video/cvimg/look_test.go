//go:build cgo
package cvimg
import ("testing";"image";"image/color";"image/png";"os";"os/exec";"fmt";"time"
"github.com/v2v/v2v/video";"github.com/v2v/v2v/video/sheet")
func save(f *video.Frame, p string){ m:=image.NewRGBA(image.Rect(0,0,f.W,f.H)); for y:=0;y<f.H;y++{for x:=0;x<f.W;x++{r,g,b:=f.At(x,y);m.Set(x,y,color.RGBA{r,g,b,255})}}; o,_:=os.Create(p); png.Encode(o,m); o.Close()}
func TestLook(t *testing.T){
 n:=120
 out,_ := exec.Command("ffmpeg","-v","error","-i","/usr/share/doc/opencv-doc/examples/data/vtest.avi","-frames:v",fmt.Sprint(n),"-f","rawvideo","-pix_fmt","rgb24","-").Output()
 var fr []*video.Frame
 for i:=0;i<n;i++{f:=video.NewFrame(768,576);copy(f.Pix,out[i*768*576*3:]);fr=append(fr,f)}
 small := func(f *video.Frame)*video.Frame{d:=video.NewFrame(192,144);if err:=Resize(d,f);err!=nil{t.Fatal(err)};return d}
 var rows [][]*video.Frame
 at := []int{90,91,100,119}
 for _,c := range []struct{k string;o Options}{{"gray",Options{}},{"edges",Options{}},{"edges",Options{Edges:EdgeOptions{High:60}}},{"edges",Options{Edges:EdgeOptions{High:150}}},{"mask",Options{}},{"quant",Options{}}} {
  e,err:=NewExtractor(c.k,c.o); if err!=nil{t.Fatal(err)}
  st:=time.Now()
  for i:=0;i<e.WarmUp();i++{e.Learn(fr[i])}
  t.Log(c.k,"learn",time.Since(st))
  var row []*video.Frame
  d:=video.NewFrame(768,576)
  st=time.Now()
  for i,f:=range fr { if i<80{continue}; if err:=e.Apply(d,f);err!=nil{t.Fatal(err)}
   for _,a:=range at{ if a==i{ s:=small(d); Label(s,c.k+fmt.Sprint(" ",i),2,2); row=append(row,s)}}}
  t.Log(c.k, time.Since(st)/40)
  rows=append(rows,row); e.Close()
 }
 save(sheet.Grid(rows,4),"/tmp/look.png")
}
