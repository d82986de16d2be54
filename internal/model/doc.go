// Package model is what is known of one of GORM's schemas: its version, its Snapshot, and the parents that its writes touch.
package model
