// Package tx keeps track of transactions. A [Journal] remembers the versions that writes have replaced in memory until it is known
// how the transaction ends. A [Unit] is what is written as a whole or not at all. The package notices when the database has ended a
// transaction.
package tx
