// Package hot remembers the rows on which writes were refused a moment ago, for locks that are taken only where rows are contended.
package hot
