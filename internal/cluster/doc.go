// Package cluster starts clusters of database servers out of Debian's packages on ports of 127.0.0.1, and breaks them: a
// Galera cluster of three MariaDB nodes, a MySQL group of three members with one primary or several, a PostgreSQL primary
// with a streaming standby, and PgBouncer in front of it.
//
// It takes root on Linux, like package host. A cluster belongs to the process that has started it: it ends with it,
// whatever happens, and nothing of it is kept but the packages and an empty data directory, which the next one is copied from.
package cluster
