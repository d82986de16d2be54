package frameworks

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gorm-occ/occ/occhttp"
)

// Gin serves the notes by gin.
func Gin(n Notes) http.Handler {
	engine := gin.New()
	engine.GET("/notes/:id", func(c *gin.Context) {
		note, tag, err := n.load(c.Request.Context(), c.Param("id"))
		switch {
		case err != nil:
			problem(c.Request, err).ServeHTTP(c.Writer, c.Request)
		case !occhttp.NotModified(c.Writer, c.Request, tag):
			c.JSON(http.StatusOK, note)
		}
	})
	engine.PUT("/notes/:id", func(c *gin.Context) {
		var edit Edit
		if c.ShouldBindJSON(&edit) != nil {
			malformed.ServeHTTP(c.Writer, c.Request)
			return
		}
		tag, err := n.replace(c.Request, c.Param("id"), edit)
		if err != nil {
			problem(c.Request, err).ServeHTTP(c.Writer, c.Request)
			return
		}
		c.Header("ETag", tag.String())
		c.Status(http.StatusNoContent)
	})
	engine.DELETE("/notes/:id", func(c *gin.Context) {
		if err := n.remove(c.Request, c.Param("id")); err != nil {
			problem(c.Request, err).ServeHTTP(c.Writer, c.Request)
			return
		}
		c.Status(http.StatusNoContent)
	})
	return engine
}
