//go:build cgo

package cuda

// FreeMemory is how many bytes of the card's memory nobody has taken yet.
func (d *Device) FreeMemory() (free int64, err error) {
	err = d.do(func() error {
		left, _, err := d.room()
		free = int64(left)
		return err
	})
	return free, err
}
