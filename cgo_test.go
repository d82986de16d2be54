//go:build cgo

package occ_test

const hasCgo = true
