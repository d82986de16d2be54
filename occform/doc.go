// Package occform edits versioned rows in HTML forms that two people have open at once. It needs no session and no script:
// the form itself carries the version of the row and the values that it showed, which are the base of a three-way merge.
//
//	hidden, err := occform.Hidden(db, &article, "Title", "Price")        // into the <form>
//	...
//	edit, err := occform.Parse[Article](db, r, "Title", "Price")         // what was shown, and what became of it
//	conflict, err := edit.Save(db, &article)                             // article needs its primary key only
//	if conflict != nil {
//		w.WriteHeader(http.StatusConflict)
//		err = conflict.Render(w, occform.Page{Title: "Article", Action: r.URL.Path})
//	}
//
// # What a form may write
//
// Only the fields that the program names are read and written, whatever the client sends. A field is named as in Go
// (Title, Address.City) or by its column, and the input has the same name. The client is not believed in what it says of
// the row, only in what it was shown itself: a made-up base can undo or overwrite nothing but a value of those fields,
// which the person is allowed to write anyway. A primary key, the version, an automatic timestamp and an unversioned column
// cannot be named.
//
// # How inputs are read
//
//   - Strings and named string types are taken as they are, line ends as LF. Line ends alone are no change and no conflict, since
//     a browser sends CRLF for each: a text that the person did not change stays as it is stored.
//   - Integers and floats are decimal. An empty input is an error, unless the field takes NULL.
//   - A bool is false where the input is missing, as a browser sends nothing for a box that is not ticked. Of several
//     values the last counts, so that a hidden "false" may stand before the box.
//   - A time is what datetime-local and date send, or RFC 3339. Without a zone it is in the zone of the value that was
//     shown, or in [time.Local] where there was none. What differs from that value only by digits that the input does not
//     show, seconds for example, is no change.
//   - A pointer and an [database/sql.Null] take NULL for an empty input. Where the form showed an embedded pointer that is nil,
//     an empty input leaves the column NULL, whatever its type, and so does a bool that is false.
//   - Other types are read by [encoding.TextUnmarshaler]; without one, naming the field is an error.
//
// An input that is missing altogether leaves its field as it was shown, except for a bool. Text that does not parse is an
// [*InputError], which can be rendered with what was typed. Whether a value is allowed, of an enumeration for example, is
// for the application to check in [Edit.Mine] or in a hook of the model.
//
// Forms need protection from other sites like any form: see [net/http.CrossOriginProtection].
package occform
