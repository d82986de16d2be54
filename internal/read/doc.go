// Package read is what happens to queries: models get their Snapshots and Xmin, expected versions are compared, and reads of Retry lock.
package read
