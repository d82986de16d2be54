// Package occhttp brings the versions of package occ to HTTP: conditional requests as RFC 9110 has them. The version of a row
// is its entity tag. A client gets it in ETag, and sends it back in If-Match with its change. A change of something that was
// changed meanwhile is answered with 412, and nothing is lost.
//
//	func (a API) get(w http.ResponseWriter, r *http.Request) {
//		... // load the meeting
//		tag, err := occhttp.TagOf(a.db, &meeting)
//		... // the error
//		if occhttp.NotModified(w, r, tag) { // sets ETag; 304 for a client that has it already
//			return
//		}
//		... // write the body
//	}
//
//	func (a API) put(w http.ResponseWriter, r *http.Request) {
//		... // decode the body into the meeting, take its key from the path
//		err := a.db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting).Error
//		if p := occhttp.ProblemOf(r, err); p != nil { // 400, 404, 412, 428: application/problem+json
//			p.ServeHTTP(w, r)
//			return
//		}
//		... // other errors, the answer
//	}
//
// # Which function
//
//   - [TagOf] makes the tag of a row, or of several rows that are one resource; [Tag.Variant] that of a representation.
//   - [NotModified] sets ETag and answers the conditions of a GET.
//   - [IfMatch] compares in the UPDATE or DELETE itself. Nothing is loaded before, so nothing can come between.
//   - [Check] compares with what the handler has loaded, before it changes and saves it.
//   - [Require] turns away writes that name no version, before any handler runs.
//   - [ProblemOf] makes the answer of an error (RFC 9457).
//
// # What is compared
//
// If-Match is read by the RFC's grammar: several lines, commas in tags, optional white space, bytes from 0x80 on. The
// comparison is strong: a weak tag matches nothing, unless [AcceptWeak] is given for the sake of a compressing proxy. A
// version in the body or in the model decides nothing where IfMatch is used: it is neither compared nor stored. To refuse a body
// whose version disagrees with If-Match, pass that version to [Check] and answer its error with 400.
//
// If-Unmodified-Since is ignored. Its dates have whole seconds, and two changes within one look the same.
//
// Of a request, only its method and its header are read. A framework that has no [http.Request] makes one of these, with every
// line of If-Match: examples/frameworks has chi, gin, echo, fiber and huma.
//
// The functions are safe for concurrent use. The database needs the plugin: db.Use(occ.New()).
package occhttp
