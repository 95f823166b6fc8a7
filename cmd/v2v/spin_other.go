//go:build !cgo || !linux

package main

// calmThreads has nothing to calm: OpenMP comes with cgo.
func calmThreads() {}
