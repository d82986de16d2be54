package frameworks

import (
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/gorm-occ/occ/occhttp"
)

// Fiber serves the notes by fiber. Its error handler makes the answers of errors.
func Fiber(n Notes) *fiber.App {
	app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		if p := problem(requestOf(c), err); p != nil {
			return adaptor.HTTPHandler(p)(c)
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	app.Get("/notes/:id", func(c fiber.Ctx) error {
		note, tag, err := n.load(c, c.Params("id"))
		if err != nil {
			return err
		}
		answered := false
		conditions := func(w http.ResponseWriter, _ *http.Request) { answered = occhttp.NotModified(w, requestOf(c), tag) }
		if err := adaptor.HTTPHandlerFunc(conditions)(c); err != nil || answered {
			return err
		}
		return c.JSON(note)
	})
	app.Put("/notes/:id", func(c fiber.Ctx) error {
		var edit Edit
		if err := c.Bind().JSON(&edit); err != nil {
			return fiber.ErrBadRequest
		}
		tag, err := n.replace(requestOf(c), c.Params("id"), edit)
		if err != nil {
			return err
		}
		c.Set("ETag", tag.String())
		return c.SendStatus(fiber.StatusNoContent)
	})
	app.Delete("/notes/:id", func(c fiber.Ctx) error {
		if err := n.remove(requestOf(c), c.Params("id")); err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusNoContent)
	})
	return app
}

// requestOf is the request for occhttp: its method, context and conditions. The adaptor's own conversion keeps the last line
// of a header alone, and If-Match may have several.
func requestOf(c fiber.Ctx) *http.Request {
	r := (&http.Request{Method: c.Method(), Header: http.Header{}}).WithContext(c)
	for _, name := range []string{"If-Match", "If-None-Match"} {
		for _, line := range c.Request().Header.PeekAll(name) {
			r.Header.Add(name, string(line))
		}
	}
	return r
}
