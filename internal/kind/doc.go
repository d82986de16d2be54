// Package kind has the kinds of version, one implementation of [Kind] each, and finds the field of a schema that is the version.
package kind
