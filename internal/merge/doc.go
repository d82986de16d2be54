// Package merge resolves conflicts: it reads the row as it is, merges three states of it, and saves the result with a comparison.
package merge
