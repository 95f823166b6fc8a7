//go:build cgo

package cuda

// Forget lets the next Open look for the libraries again.
func Forget() {
	opening.Lock()
	defer opening.Unlock()
	if opened != nil {
		opened.close()
		opened = nil
	}
}
