package engine

// Precise is a device whose programs are compiled in a precision where their options
// name none: what trains does not ask for one.
func Precise(d Device, p Precision) Device {
	if p == Float32 {
		return d
	}
	return precise{d, p}
}

type precise struct {
	Device
	precision Precision
}

// Compile implements Device.
func (d precise) Compile(p *Program, o Options) (Executable, error) {
	if o.Precision == Float32 {
		o.Precision = d.precision
	}
	return d.Device.Compile(p, o)
}
