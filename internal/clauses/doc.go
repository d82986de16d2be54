// Package clauses has the pieces of SQL that gorm/clause lacks: conditions in parentheses, further assignments behind a SET, and their like.
package clauses
