// Package ddl compares the tables of models with what their versions need, and makes the triggers that advance versions under raw SQL.
package ddl
