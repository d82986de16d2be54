// Package adopting holds no code of its own. Its tests are the steps of docs/migrating.md, with gorm.io/plugin/optimisticlock and occ
// on one table, the migrations of docs/schema.md by the tools themselves, and the mock of docs/testing-your-code.md.
package adopting
