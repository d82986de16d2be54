// Package frameworks has one resource, notes, behind five frameworks: chi, gin, echo, fiber and huma. What is about versions
// is the same in each, and a line apiece: [occhttp.NotModified] in GET, [occhttp.IfMatch] in PUT and DELETE, and
// [occhttp.ProblemOf] for what is refused. chi, gin, echo and huma have the [http.Request] that these take; fiber makes one
// of its own request.
//
// The tests send the same requests to all of them, and once more through an nginx that compresses.
package frameworks
