// Package tx follows transactions: a [Journal] remembers the versions that writes have replaced in memory until it is known how the
// transaction ends; a [Unit] is what is written as a whole or not at all. It notices when the database has ended a transaction.
package tx
