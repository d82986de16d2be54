package frameworks

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/gorm-occ/occ/occhttp"
)

// Echo serves the notes by echo. Its error handler makes the answers of errors.
func Echo(n Notes) http.Handler {
	server := echo.New()
	server.HTTPErrorHandler = func(err error, c echo.Context) {
		if p := problem(c.Request(), err); p != nil && !c.Response().Committed {
			p.ServeHTTP(c.Response(), c.Request())
			return
		}
		server.DefaultHTTPErrorHandler(err, c)
	}
	server.GET("/notes/:id", func(c echo.Context) error {
		note, tag, err := n.load(c.Request().Context(), c.Param("id"))
		if err != nil || occhttp.NotModified(c.Response(), c.Request(), tag) {
			return err
		}
		return c.JSON(http.StatusOK, note)
	})
	server.PUT("/notes/:id", func(c echo.Context) error {
		var edit Edit
		if err := c.Bind(&edit); err != nil {
			return err
		}
		tag, err := n.replace(c.Request(), c.Param("id"), edit)
		if err != nil {
			return err
		}
		c.Response().Header().Set("ETag", tag.String())
		return c.NoContent(http.StatusNoContent)
	})
	server.DELETE("/notes/:id", func(c echo.Context) error {
		if err := n.remove(c.Request(), c.Param("id")); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
	return server
}
