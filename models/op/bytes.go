package op

// FromBytes turns pictures into tensors. Input: uint8 (N,H,W,3) RGB. Output:
// (N,C,OutH,OutW) float32, byte/127.5-1; C is 3, or 1 with Luma (BT.601
// weights .299 .587 .114). OutH >= H and OutW >= W: what is more than the
// picture repeats its bottom row and right column.
type FromBytes struct {
	OutH, OutW int
	Luma       bool
}

// ToBytes is the way back: (N,3,H,W) float32 in [-1,1] to uint8
// (N,OutH,OutW,3), round((x+1)*127.5) clamped to [0,255], the top left
// OutH x OutW of the picture.
type ToBytes struct{ OutH, OutW int }
