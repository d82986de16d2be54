// Package browser tests examples/editors in Chromium, each story with script and without. It is a module of its own, so that
// nothing else depends on what drives the browser.
package browser
