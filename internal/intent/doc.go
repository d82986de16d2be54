// Package intent is what a caller says of one statement by clauses: the expected version, as a value or as text, or that nothing is to be
// compared. The switches travel in the statement's clauses: unlike settings, these do not leak into association saves.
package intent
