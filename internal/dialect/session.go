package dialect

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// session is what is known of the variables that connections to MariaDB or MySQL begin with.
type session struct {
	isKnown           bool // the server answered
	isMariaDB         bool // of an age that takes a list of VALUES for a query
	snapshotIsolation bool // MariaDB: a statement that meets a row newer than the transaction's snapshot ends the transaction
	severalPrimaries  bool // MySQL: the server is in a group, or is going to be in one, all members of which take writes
	safeUpdates       bool // a write has to find its rows by a key, and a join with values does not count as one
	isGalera          bool // the server is a node of a Galera cluster
	preparesParams    bool // of a node of Galera: a statement with parameters is a prepared one
}

// ofMariaDB is a variable that MariaDB has had since it takes a list of VALUES for a query, and MySQL and TiDB do not have.
const ofMariaDB = "in_predicate_conversion_threshold"

// ofGroup is a variable that MySQL has where the plugin of Group Replication is loaded. It is OFF only where somebody has
// turned it off.
const ofGroup = "group_replication_single_primary_mode"

// HasSeveralPrimaries reports whether the server belongs to a MySQL group with several primaries, as far as it was when the
// database was opened.
func (d Dialect) HasSeveralPrimaries() bool { return d.session.severalPrimaries }

// sessionOf asks the server itself: GORM may have been told not to ask for its version, and a proxy may make one up. Of one
// that does not answer nothing is known: it may do so later.
func sessionOf(db *gorm.DB) (s session) {
	if db.ConnPool == nil {
		return s
	}
	rows, err := db.ConnPool.QueryContext(context.Background(),
		"SHOW SESSION VARIABLES WHERE Variable_name IN ('innodb_snapshot_isolation', 'sql_safe_updates', 'wsrep_on', '"+ofGroup+"', '"+ofMariaDB+"')")
	if err != nil {
		return s
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return session{}
		}
		switch isOn := strings.EqualFold(value, "ON"); strings.ToLower(name) {
		case "innodb_snapshot_isolation":
			s.snapshotIsolation = isOn
		case "sql_safe_updates":
			s.safeUpdates = isOn
		case "wsrep_on":
			s.isGalera = isOn
		case ofGroup:
			s.severalPrimaries = !isOn
		case ofMariaDB:
			s.isMariaDB = true
		}
	}
	s.isKnown = rows.Err() == nil
	return s
}

// ZoneQuery asks the driver of MariaDB or MySQL for the zone in which it writes times without their offset, by having it read one,
// with [ScanZone]. It is empty for other databases.
func (d Dialect) ZoneQuery() string {
	if d.Name != mysql {
		return ""
	}
	return "SELECT CAST('2001-02-03 04:05:06' AS DATETIME)"
}

// ScanZone reads what [Dialect.ZoneQuery] gives; nil where that is UTC.
func ScanZone(rows *sql.Rows) (*time.Location, error) {
	var read time.Time
	if !rows.Next() {
		return nil, rows.Err()
	}
	if err := rows.Scan(&read); err != nil || read.Location() == time.UTC {
		return nil, err
	}
	return read.Location(), nil
}

// Settings returns what is put before a statement that locks rows or writes compared ones, and applies to it alone. The statement
// reads rows as they are now, where they are newer than the transaction's snapshot. Else that is an error which ends the
// transaction. With joins, the statement finds its rows by a table of values. It is nil where there is nothing to be set.
//
// MariaDB alone executes comments that begin with M!, and those with a number only if its version is not below that. From
// 11.6.2 on, innodb_snapshot_isolation is on unless it is turned off.
func (d Dialect) Settings(joins bool) clause.Expression {
	var off []string
	if d.session.snapshotIsolation {
		off = append(off, "innodb_snapshot_isolation=OFF")
	}
	if d.session.safeUpdates && joins {
		off = append(off, "sql_safe_updates=OFF")
	}
	switch {
	case len(off) > 0:
		return clause.Expr{SQL: "/*M! SET STATEMENT " + strings.Join(off, ",") + " FOR */"}
	case d.Name == mysql && !d.session.isKnown:
		return clause.Expr{SQL: "/*M!110602 SET STATEMENT innodb_snapshot_isolation=OFF FOR */"}
	}
	return nil
}
