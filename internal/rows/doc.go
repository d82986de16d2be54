// Package rows reads rows as they are stored. A [Site] is where a statement works; its readers find rows by key, with their versions, whether
// a soft delete hides them, and whether the caller's own conditions hold.
package rows
