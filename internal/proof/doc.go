// Package proof holds nothing but a proof: random programs are run against the real databases and against a small
// sequential model of what occ promises, and after every step the stored rows, the models in memory and the error have
// to be those that the model foretold.
//
// A program is a list of steps. Each kind of step is a value with three methods that stand side by side: what it asks of
// GORM, what occ promises of it, and how it reads as Go. A counterexample is shrunk and printed as a test that can be
// pasted and run.
//
//	go test ./internal/proof -rapid.checks=5000
package proof
