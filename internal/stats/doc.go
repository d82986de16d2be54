// Package stats counts compared, refused, unchecked and retried calls by table.
package stats
