// Package session carries what the caller has set on its db over to the plugin's own statements: table, settings, and the database that
// gorm.io/plugin/dbresolver is to use.
package session
