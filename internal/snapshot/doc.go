// Package snapshot has the images of rows that models were loaded with, and which of their columns are compared.
package snapshot
