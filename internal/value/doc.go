// Package value handles the values of columns: whether two are the same to the database, copies that share nothing, and the text of a key.
package value
