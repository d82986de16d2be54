package browser_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// patience is how long a page may take before a test fails.
const patience = 60 * time.Second

var (
	folder string
	build  = sync.OnceValues(func() (string, error) {
		path := filepath.Join(folder, "editors")
		command := exec.Command("go", "build", "-o", path, "./examples/editors")
		command.Dir, command.Stderr = "../../..", os.Stderr
		return path, command.Run()
	})
)

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "browser"); err != nil {
		panic(err)
	}
	status := m.Run()
	stop()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	os.Exit(status)
}

// site is a server of a test's own, and a browser in front of it.
type site struct {
	address string
	browser context.Context
	script  bool
}

// person is somebody with a browser context of their own: no cookies or storage are shared.
type person struct {
	t    *testing.T
	ctx  context.Context
	site *site
	name string
}

// stories runs a story with script and without.
func stories(t *testing.T, story func(t *testing.T, s *site)) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("there is no chromium: apt-get install chromium")
	} else if err != nil {
		t.Skip("there is no chromium: apt-get install chromium")
	}
	for name, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(name, func(t *testing.T) {
			story(t, &site{address: serve(t), browser: started(t, chromium), script: script})
		})
	}
}

// serve starts the example with a database of its own and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	command := exec.Command(path, "-addr", "127.0.0.1:0")
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, command.Process.Signal(os.Interrupt))
		require.NoError(t, command.Wait())
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	return strings.Fields(line)[2]
}

var (
	starting sync.Mutex
	browser  context.Context
	stop     = func() {}
)

// started is the browser of all tests, which is started for the first. Pages are not kept for the back button: how long Chromium
// does so depends on the memory of the machine.
func started(t *testing.T, chromium string) context.Context {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if browser != nil {
		return browser
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-features", "BackForwardCache"),
		chromedp.UserDataDir(filepath.Join(folder, "profile")), chromedp.WSURLReadTimeout(patience))
	first, _ := chromedp.NewContext(ctx)
	require.NoError(t, chromedp.Run(first))
	browser = first
	stop = func() {
		if err := chromedp.Cancel(first); err != nil { // waits for the browser's end
			panic(err)
		}
		cancel()
	}
	return browser
}

// opens has somebody open the form.
func (s *site) opens(t *testing.T, name string) *person {
	t.Helper()
	ctx, end := chromedp.NewContext(s.browser, chromedp.WithTargetID(s.window(t)))
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	p := &person{t, ctx, s, name}
	p.do(emulation.SetScriptExecutionDisabled(!s.script), chromedp.EmulateViewport(900, 700))
	require.Equal(t, http.StatusOK, p.goes(chromedp.Navigate(s.address+"/edit/"+name)))
	return p
}

// window opens a window in a browser context of its own. Chromium wants a window first, where there is only a tab to be had.
func (s *site) window(t *testing.T) (id target.ID) {
	t.Helper()
	browser := cdp.WithExecutor(s.browser, chromedp.FromContext(s.browser).Browser)
	isolated, err := target.CreateBrowserContext().Do(browser)
	require.NoError(t, err)
	id, err = target.CreateTarget("about:blank").WithBrowserContextID(isolated).WithNewWindow(true).Do(browser)
	require.NoError(t, err)
	return id
}

// posts is somebody else, without a form.
func (s *site) posts(t *testing.T, path string) {
	t.Helper()
	answer, err := http.Post(s.address+path, "", nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

func (p *person) do(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Run(p.ctx, actions...))
}

// goes does what leads to another page, waits for it and returns its status.
func (p *person) goes(actions ...chromedp.Action) int {
	p.t.Helper()
	answer, err := chromedp.RunResponse(p.ctx, actions...)
	require.NoError(p.t, err)
	require.NotNil(p.t, answer)
	return int(answer.Status)
}

// types replaces what is in an input.
func (p *person) types(input, text string) {
	p.t.Helper()
	p.do(chromedp.Focus(input, chromedp.ByQuery), chromedp.Evaluate("document.activeElement.select()", nil), chromedp.KeyEvent(text))
}

func (p *person) saves() int {
	p.t.Helper()
	return p.goes(chromedp.Click(`button[type=submit]`, chromedp.ByQuery))
}

func (p *person) text() (text string) {
	p.t.Helper()
	p.do(chromedp.Text("main", &text, chromedp.ByQuery))
	return text
}

func (p *person) value(input string) (value string) {
	p.t.Helper()
	p.do(chromedp.Value(input, &value, chromedp.ByQuery))
	return value
}

// has reports how many elements of the page a selector finds.
func (p *person) has(selector string) (count int) {
	p.t.Helper()
	p.do(chromedp.Evaluate("document.querySelectorAll(`"+selector+"`).length", &count))
	return count
}

func TestDifferentFieldsAreMerged(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann, ben := s.opens(t, "Ann"), s.opens(t, "Ben")
		ann.types("#title", "Bench")
		require.Equal(t, http.StatusOK, ann.saves())
		ben.types("#price", "55")
		ben.do(chromedp.Click("#sold", chromedp.ByQuery))

		require.Equal(t, http.StatusOK, ben.saves())

		require.Contains(t, ben.text(), "merged with what somebody else has saved")
		require.Equal(t, "Bench", ben.value("#title"))
		require.Equal(t, "55", ben.value("#price"))
		require.Equal(t, 1, ben.has("#sold:checked"))
	})
}

func TestTheSameFieldIsAskedFor(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann, ben := s.opens(t, "Ann"), s.opens(t, "Ben")
		ann.types("#title", "Bench")
		ann.types("#price", "45")
		require.Equal(t, http.StatusOK, ann.saves())
		ben.types("#title", "Stool")
		ben.types("#text", "Three legs.")

		require.Equal(t, http.StatusConflict, ben.saves())

		text := ben.text()
		for _, part := range []string{"It was", "Garden chair", "Yours", "Stool", "Theirs", "Bench", "updated by Ann", "updated at"} {
			require.Contains(t, text, part)
		}
		require.Zero(t, ben.has(`input[name=Title]:checked`), "nobody has decided")
		require.Equal(t, 1, ben.has(`input[name=Price][value="45"]:checked`), "only Ann has changed it")
		require.Equal(t, 1, ben.has(`input[name=Text][value="Three legs."]:checked`), "only Ben has changed it")
		require.Equal(t, 1, ben.has("#occ-0-mine:focus"), "the first conflict")
		ben.keepsScreenshot()

		require.Equal(t, http.StatusOK, ben.goes(chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Enter)), "by keyboard")
		require.Equal(t, "Stool", ben.value("#title"))
		require.Equal(t, "45", ben.value("#price"))
		require.Equal(t, "Three legs.", ben.value("#text"))
	})
}

// keepsScreenshot writes the page as a picture to the file that SCREENSHOT names.
func (p *person) keepsScreenshot() {
	p.t.Helper()
	var picture []byte
	p.do(chromedp.FullScreenshot(&picture, 100))
	require.NotEmpty(p.t, picture)
	if path := os.Getenv("SCREENSHOT"); path != "" {
		require.NoError(p.t, os.WriteFile(path, picture, 0o644))
	}
}

func TestAThirdWritesWhileThePageIsOpen(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann, ben := s.opens(t, "Ann"), s.opens(t, "Ben")
		ann.types("#title", "Bench")
		require.Equal(t, http.StatusOK, ann.saves())
		ben.types("#title", "Stool")
		require.Equal(t, http.StatusConflict, ben.saves())
		s.posts(t, "/third")
		mine := chromedp.Click(`label[for="occ-0-mine"]`, chromedp.ByQuery)
		ben.do(mine)

		require.Equal(t, http.StatusConflict, ben.saves())

		require.Contains(t, ben.text(), "Carol's chair")
		require.Contains(t, ben.text(), "updated by Carol")
		ben.do(mine)
		require.Equal(t, http.StatusOK, ben.saves())
		require.Equal(t, "Stool", ben.value("#title"))
	})
}

func TestTheRowIsDeletedMeanwhile(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann := s.opens(t, "Ann")
		ann.types("#title", "Bench")
		s.posts(t, "/delete")

		require.Equal(t, http.StatusConflict, ann.saves())

		require.Contains(t, ann.text(), "has been deleted")
		require.Contains(t, ann.text(), "Bench")
		require.Zero(t, ann.has("button"))
	})
}

func TestTheBackButtonAfterASave(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann := s.opens(t, "Ann")
		ann.types("#title", "Bench")
		require.Equal(t, http.StatusOK, ann.saves())

		require.Equal(t, http.StatusOK, ann.goes(chromedp.NavigateBack()))

		require.Equal(t, "Bench", ann.value("#title"), "the row as it is")
		ann.types("#price", "50")
		require.Equal(t, http.StatusOK, ann.saves())
		require.Equal(t, "Bench", ann.value("#title"))
	})
}

func TestWhatDoesNotParseStaysInItsInput(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann := s.opens(t, "Ann")
		ann.types("#title", "Bench")
		ann.types("#price", "dear")

		require.Equal(t, http.StatusUnprocessableEntity, ann.saves())

		require.Contains(t, ann.text(), "Error: Price is not a whole number.")
		require.Equal(t, "dear", ann.value("input[name=Price]"))
		require.Equal(t, 1, ann.has("input[name=Price]:focus"))
		ann.types("input[name=Price]", "44")
		require.Equal(t, http.StatusOK, ann.saves())
		require.Equal(t, "Bench", ann.value("#title"))
		require.Equal(t, "44", ann.value("#price"))
	})
}

func TestABannerTellsAnOpenForm(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann := s.opens(t, "Ann")
		s.posts(t, "/third")
		if !s.script {
			require.Zero(t, ann.has("#banner:not([hidden])"))
			return
		}
		ann.do(chromedp.WaitVisible("#banner", chromedp.ByQuery))
		require.Contains(t, ann.text(), "Carol has saved this meanwhile.")
	})
}

func TestBothEditorsAndTheSQLAreOnOnePage(t *testing.T) {
	stories(t, func(t *testing.T, s *site) {
		ann := s.opens(t, "Ann")
		require.Equal(t, http.StatusOK, ann.goes(chromedp.Navigate(s.address)))
		require.Equal(t, 3, ann.has("iframe"))
		require.Equal(t, http.StatusOK, ann.goes(chromedp.Navigate(s.address+"/sql")))
		require.NotZero(t, ann.has("pre"))
	})
}
