// Package conflict is what is known of a refused write, as plain data: the root package makes the public error of it.
package conflict

import (
	"context"
	"errors"
)

// Op is the operation that was refused.
type Op string

// The operations that are compared.
const (
	OpUpdate Op = "update"
	OpDelete Op = "delete"
	OpUpsert Op = "upsert"
	OpTouch  Op = "touch"
	OpVerify Op = "verify"
	OpRead   Op = "read"
)

// Reason says why a row was refused.
type Reason string

// The reasons. A row that could not be read reliably is [ReasonUnknown], never a guess.
const (
	ReasonChanged Reason = "changed" // the row is at another version
	ReasonDeleted Reason = "deleted" // there is no such row, or it is soft-deleted
	ReasonMissing Reason = "missing" // the model's version was never loaded, and the row has one
	ReasonAhead   Reason = "ahead"   // the model is newer than the row
	ReasonUnknown Reason = "unknown" // the row could not be read
)

// Refusal is one refused call.
type Refusal struct {
	Op    Op
	Table string
	Rows  []Row // the refused rows in the order they were passed; at least one
	// NoVersion says that the call was given no version at all, though it was to compare with one.
	NoVersion bool
	Err       error // the database's own error, where it reported the conflict or the read that was to explain it failed
}

// Row is one refused row.
type Row struct {
	Index      int            // among the models that were passed
	PrimaryKey map[string]any // column name to value
	Expected   any            // the version that was compared
	Actual     any            // the version the row has now; nil where it is gone or could not be read
	Text       string         // Actual as text for clients; "" where it has none
	Reason     Reason
	Blame      map[string]any // who has written the row, and when, by column name
}

// Current is the version that a refused row has, as text for clients. It is an error for the sake of errors.As alone: the
// public errors hand it over by their As methods.
type Current string

func (c Current) Error() string { return string(c) }

// ErrFinal is matched by errors that no further attempt can go without, though they are about stale data: what a client
// has asked for does not change.
var ErrFinal = errors.New("occ: refused for good")

// Face is how the engine speaks to those outside: what it finds out, it hands over as plain data.
type Face struct {
	Refused   func(*Refusal) error                     // the public error of a refused call
	RefusalIn func(error) error                        // the public error in another one; nil where there is none
	Report    func(ctx context.Context, refusal error) // called once for every refused write
}
