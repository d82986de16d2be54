//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func soakCluster(context.Context, options, io.Writer) (int, error) {
	return unusable, errors.New("clusters are started on Linux only")
}
