package occhttp_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

func TestWithoutARequest(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, occhttp.Check(nil, "1", nil), "occhttp: there is no request")
	require.Equal(t, 409, occhttp.ProblemOf(nil, occ.ErrStaleData).Status)
	require.Equal(t, 428, occhttp.ProblemOf(nil, &occ.StaleDataError{Rows: []occ.StaleRow{{Reason: occ.ReasonMissing}}}).Status)
	w := httptest.NewRecorder()
	require.False(t, occhttp.NotModified(w, nil, "1"))
	require.Equal(t, `"1"`, w.Header().Get("ETag"))
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		err := db.Clauses(occhttp.IfMatch(nil)).Updates(&Note{ID: 1}).Error
		require.ErrorContains(t, err, "occhttp: there is no request")
	})
}

func TestWithoutADatabase(t *testing.T) {
	t.Parallel()
	for _, models := range [][]any{{&Note{}}, {&Note{}, &Note{}}} {
		_, err := occhttp.TagOf(nil, models...)
		require.ErrorIs(t, err, gorm.ErrInvalidDB)
	}
}
